package controllers

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/prism"
	"github.com/refract-dev/refract/render/preflight"
	"github.com/refract-dev/refract/render/site"
)

// reasons of conditions by what Prism Central, or what is in its place, did. Those that a person must mend come with true.
var reasons = map[prism.Reason]struct {
	reason string
	person bool
}{
	prism.AuthenticationFailed: {v1alpha1.AuthenticationFailedReason, true},
	prism.Forbidden:            {v1alpha1.AuthenticationFailedReason, true},
	prism.UntrustedCertificate: {v1alpha1.UntrustedCertificateReason, true},
	prism.NameNotFound:         {v1alpha1.NameNotFoundReason, true},
	prism.TooOld:               {v1alpha1.PrismTooOldReason, true},
	prism.Unreachable:          {v1alpha1.PrismUnreachableReason, false},
	prism.Throttled:            {v1alpha1.PrismThrottledReason, false},
	prism.Misbehaving:          {v1alpha1.PrismMisbehavingReason, false},
}

// unproved says why credentials may not be distributed; nil once they are proved.
func unproved(a *v1alpha1.CloudAccount, known sight, token string) error {
	switch {
	case known.proved == token:
		return nil
	case known.tried != token:
		return wait(v1alpha1.CredentialsNotProvedReason, whileMoving, "Prism Central %s is being asked whether the credentials of Secret %s are good", a.Spec.Endpoint.Address, a.Spec.CredentialsRef.Name)
	}
	kept := "no cluster has got them"
	if known.proved != "" || a.Status.Credentials != nil {
		kept = "every cluster keeps those that were proved before"
	}
	return notLetIn(known.err, fmt.Errorf("the credentials of Secret %s are not proved, and %s: %w", a.Spec.CredentialsRef.Name, kept, known.err))
}

// lost says why credentials that were proved do not let us in any more. Clusters keep them, and get them.
func lost(known sight) error {
	if known.lost == nil {
		return nil
	}
	return notLetIn(known.lost, fmt.Errorf("the credentials were proved, but now: %w. Every cluster keeps them; changes that make machines wait", known.lost))
}

// notLetIn is what follows from an answer of Prism Central, or from none.
func notLetIn(cause, err error) error {
	reason, person := v1alpha1.PrismMisbehavingReason, false
	if e := new(prism.Error); errors.As(cause, &e) {
		if known, ok := reasons[e.Reason]; ok {
			reason, person = known.reason, known.person
		}
	}
	if person {
		return stall(reason, "%w", err)
	}
	return retry(reason, err)
}

// reportSite tells in the status what is known of Prism Central. What has not been read leaves the status as it was.
func reportSite(a *v1alpha1.CloudAccount, known sight) {
	if known.proved != "" {
		a.Status.PrismCentral = known.version
		proved := v1alpha1.CredentialsStatus{Secret: a.Spec.CredentialsRef.Name, ProvedAt: metav1.NewTime(known.provedAt.Truncate(1e9))}
		// After a restart the same credentials are proved again: that is no news.
		if a.Status.Credentials == nil || a.Status.Credentials.Secret != proved.Secret || known.rotated {
			a.Status.Credentials = &proved
		}
	}
	if known.inventory == nil {
		return
	}
	elements, unknown := elementsOf(known.inventory), unknownOf(known.inventory)
	if !known.inventory.Knows(site.PartElements) && a.Status.InventoryAt != nil {
		a.Status.Unknown = unknown // the rest is as of the last one
		return
	}
	if equality.Semantic.DeepEqual(elements, a.Status.Elements) && equality.Semantic.DeepEqual(unknown, a.Status.Unknown) && a.Status.InventoryAt != nil {
		return // read anew, and the same: nothing to write
	}
	at := metav1.NewTime(known.inventory.At.Truncate(1e9))
	a.Status.Elements, a.Status.Unknown, a.Status.InventoryAt = elements, unknown, &at
}

func unknownOf(i *site.Inventory) []v1alpha1.UnknownPart {
	var all []v1alpha1.UnknownPart
	for part, reason := range i.Missing() {
		all = append(all, v1alpha1.UnknownPart{Part: string(part), Reason: reason})
	}
	slices.SortFunc(all, func(a, b v1alpha1.UnknownPart) int { return strings.Compare(a.Part, b.Part) })
	return all
}

// maxElements is how many Prism Elements a status lists.
const maxElements = 200

// elementsOf sums up the Prism Elements by name. Sizes are rounded, so that the breathing of a running site is no news:
// memory to GiB, storage to hundredths of the capacity.
func elementsOf(i *site.Inventory) []v1alpha1.ElementStatus {
	var all []v1alpha1.ElementStatus
	for _, e := range i.Elements {
		s := v1alpha1.ElementStatus{Name: e.Name, AOSVersion: e.AOSVersion, Available: e.Available}
		vms, vcpus, used := load(i, e.ExtID)
		if i.Knows(site.PartVMs) {
			s.VMs, s.VCPUs = &vms, &vcpus
		}
		if _, lacks := i.Lacks(site.PartHosts, e); !lacks {
			reportHosts(&s, e.Hosts)
			if i.Knows(site.PartVMs) {
				s.FreeMemory = gibibytes(max(0, s.Memory.Value()-used))
			}
		}
		if spare, _, why := preflight.Free(i, e); why == "" {
			n := int32(min(spare.VCPUs, math.MaxInt32)) //nolint:gosec // bounded
			s.SpareVCPUs, s.SpareMemory = &n, gibibytes(spare.MemoryBytes)
		}
		if _, lacks := i.Lacks(site.PartStorage, e); !lacks {
			reportStorage(&s, e)
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b v1alpha1.ElementStatus) int { return strings.Compare(a.Name, b.Name) })
	return all[:min(len(all), maxElements)]
}

func reportStorage(s *v1alpha1.ElementStatus, e site.Element) {
	if e.StorageBytes == nil {
		return
	}
	s.Storage = gibibytes(*e.StorageBytes)
	if e.FreeStorageBytes != nil {
		step := max(1<<30, *e.StorageBytes/100)
		s.FreeStorage = gibibytes(*e.FreeStorageBytes / step * step)
	}
}

func reportHosts(s *v1alpha1.ElementStatus, all []site.Host) {
	hosts, resting, cores, memory := int32(len(all)), int32(0), int32(0), int64(0) //nolint:gosec // no number of hosts is near the bound
	for _, h := range all {
		if h.Maintenance {
			resting++
		}
		cores += int32(h.Cores) //nolint:gosec // nor of cores
		memory += h.MemoryBytes
	}
	s.Hosts, s.HostsInMaintenance, s.Cores, s.Memory = &hosts, &resting, &cores, gibibytes(memory)
}

// load counts the machines of a Prism Element, and what those that are powered on take.
func load(i *site.Inventory, element string) (vms, vcpus int32, memory int64) {
	for _, vm := range i.VMs {
		if vm.Element != element {
			continue
		}
		vms++
		if vm.Power != site.PowerOff {
			vcpus += int32(vm.Sockets * vm.CoresPerSocket) //nolint:gosec // no machine has so many
			memory += vm.MemoryBytes
		}
	}
	return vms, vcpus, memory
}

func gibibytes(n int64) *resource.Quantity {
	return resource.NewQuantity(n>>30<<30, resource.BinarySI)
}
