// Package prism is the one door to Prism Central: nothing else in Refract speaks to it.
//
// Nutanix's Go SDKs lose TLS verification, hang, race, panic and log; see the forwarder for how none of that reaches
// this process. What is read comes back as the values of render/site.
package prism
