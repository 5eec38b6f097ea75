// Package simulator plays Nutanix Prism Central over HTTP, as far as Cluster API
// Provider Nutanix (CAPX) needs it to create, power on, find and delete virtual
// machines, and as far as an inventory of a site needs it: clusters and their
// hosts, GPUs, storage, images, subnets, projects, users and what is in use.
//
// [New] makes an [http.Handler] over a declarative [Model]. What is served
// follows the wire rules that the v4.2 client SDKs enforce: typed envelopes,
// ETag and If-Match, session cookies, pages of 50, tasks that run
// asynchronously. A path, a query option, a filter form or a body field that
// the simulator does not know is answered with 501 and kept in
// [Server.Refused]; nothing is guessed.
//
// The site has limits. A VM whose disks or addresses do not fit fails the task
// that creates it; a VM whose memory or GPUs no host has free fails the task that
// powers it on, as with AHV, which takes memory only then. Virtual CPUs never run
// out. [Server.EditVM], [Server.AddVM], [Server.RemoveVM], [Server.EditModel] and
// their like change things behind the clients' backs.
//
// Where public sources do not say what a real Prism Central answers, the choice
// is the simulator's own and nothing should depend on it: the status of a
// missing If-Match (428), of a category that exists or is in use (409), of a VM
// that refers to nothing (422), the names of the operations of tasks, the
// messages of tasks that fail for storage, images or a cluster out of reach, the
// words of a host's maintenanceState (its hypervisor's state says the same), that
// a kind of GPU is one profile whose "assignable" counts what is free, and that
// statistics have one value, the present one, at the end of the asked interval.
//
// It is not a hypervisor: a virtual machine here is a record that gets an
// address when it is switched on. [Options.OnPowerOn] and [Options.OnDelete]
// let a test put something behind it.
package simulator
