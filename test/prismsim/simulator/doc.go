// Package simulator plays Nutanix Prism Central over HTTP, as far as Cluster API
// Provider Nutanix (CAPX) needs it to create, power on, find and delete virtual
// machines.
//
// [New] makes an [http.Handler] over a declarative [Model]. What is served
// follows the wire rules that the v4.2 client SDKs enforce: typed envelopes,
// ETag and If-Match, session cookies, pages of 50, tasks that run
// asynchronously. A path, a query option, a filter form or a body field that
// the simulator does not know is answered with 501 and kept in
// [Server.Refused]; nothing is guessed.
//
// Where public sources do not say what a real Prism Central answers, the choice
// is the simulator's own and nothing should depend on it: the status of a
// missing If-Match (428), of a category that exists or is in use (409), of a VM
// that refers to nothing (422), and the names of the operations of tasks.
//
// It is not a hypervisor: a virtual machine here is a record that gets an
// address when it is switched on. [Options.OnPowerOn] and [Options.OnDelete]
// let a test put something behind it.
package simulator
