// Package kube is the hands on any API server: it reads what is live, asks the API server and Cluster API what a wanted
// state would change (Gather), makes it so (Apply), lets go of it (Release), and says how a cluster is (Health).
//
// Three rules hold everywhere in it. What is not in the inventory (our label and an Apply entry of field manager
// "refract") is never written. Unknown is not empty: a read that fails is an error, never an absence. And the UID of the
// object that was looked at travels with every write, so that a stale plan fails instead of re-creating something.
package kube
