package controlplane

import "bytes"

// Cluster API's managers look at each object at most once a second, which triples the time of a test. Feature gate
// ReconcilerRateLimiting turns that off, and with it what has a manager wait until its cache shows what it wrote: it then
// takes what it made for a new Machine for an orphan now and then, and deletes it. So the brake stays, and is shorter.
const (
	paceModule = "capi" // the nested module
	paceFile   = "util/controller/builder.go"
	paceAnchor = "\trateLimitInterval := time.Second\n"
	pacePatch  = "\trateLimitInterval := 20 * time.Millisecond\n"
)

func patchPace(source []byte) ([]byte, error) {
	if bytes.Count(source, []byte(paceAnchor)) != 1 {
		return nil, errAnchor
	}
	return bytes.Replace(source, []byte(paceAnchor), []byte(pacePatch), 1), nil
}
