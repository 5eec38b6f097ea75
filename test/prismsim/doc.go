// Package prismsim plays Nutanix Prism Central over HTTP, as far as Cluster API
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
// It is not a hypervisor: a virtual machine here is a record that gets an
// address when it is switched on. [Options.OnPowerOn] and [Options.OnDelete]
// let a test put something behind it.
package prismsim
