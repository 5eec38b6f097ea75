package prism

import (
	"context"
	"time"

	"github.com/go-logr/logr"

	"github.com/refract-dev/refract/render/site"
)

// Endpoint is one Prism Central and who enters it.
type Endpoint struct {
	// Address is a host name or an IP address.
	Address string
	// Port is 9440 on most.
	Port               int32
	Username, Password string
	// TrustBundle holds certificate authorities in PEM, in addition to the machine's own.
	TrustBundle []byte
	// Insecure turns the verification of the certificate off.
	Insecure bool
}

// Options limit what one Prism Central can cost.
type Options struct {
	// Timeout of one request with its answer; 0 means 30 seconds.
	Timeout time.Duration
	// Concurrent requests; 0 means 4.
	Concurrent int
	// MaxBytes of one answer; 0 means 32 MiB.
	MaxBytes int64
	// MaxPages of one list, of 100 entries each; 0 means 100.
	MaxPages int
	// Log gets a line for each request at level 2.
	Log logr.Logger
	// Observe is told of each request to Prism Central: method and path with identifiers replaced, the status (0: no
	// answer) and how long it took. Nil: nobody counts.
	Observe func(route string, status int, took time.Duration)
	// Clock is the time; nil means the machine's.
	Clock func() time.Time
}

// Door leads into one Prism Central. It is safe for concurrent use.
type Door struct{}

// Open sends nothing. The caller must [Door.Close] it.
func Open(_ Endpoint, _ Options) (*Door, error) { return &Door{}, nil }

// Close cuts what is under way.
func (d *Door) Close() {}

// Prove finds out whether the credentials are good and the version is supported, and tells the version.
func (d *Door) Prove(context.Context) (version string, err error) { return "", nil }

// Inventory reads what Prism Central holds. It is never nil; what failed is in Unknown with a reason for a person.
func (d *Door) Inventory(context.Context) *site.Inventory { return &site.Inventory{} }

// VM reads one virtual machine; found is false when Prism Central says that it does not exist.
func (d *Door) VM(context.Context, string) (vm site.VM, found bool, err error) {
	return site.VM{}, false, nil
}

// PowerOn starts a virtual machine and waits for it.
func (d *Door) PowerOn(context.Context, string) error { return nil }

// AddCategories puts categories, by ExtID, on a virtual machine and waits for it.
func (d *Door) AddCategories(context.Context, string, []string) error { return nil }

// Troubles tells the message of the newest failed task about a virtual machine of each name, where there is one.
func (d *Door) Troubles(context.Context, []string) (map[string]string, error) { return nil, nil }

// Requests counts what was sent to Prism Central.
func (d *Door) Requests() int64 { return 0 }
