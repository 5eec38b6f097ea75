package controllers

import (
	"strings"
	"testing"
	"time"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/site"
)

// TestStatusOfOtherElements shows that a status goes on telling of the Prism Elements that Prism Central does tell of.
func TestStatusOfOtherElements(t *testing.T) {
	host := site.Host{ExtID: "h-1", Cores: 32, Threads: 64, MemoryBytes: 64 << 30}
	resting := site.Host{ExtID: "h-2", Cores: 32, Threads: 64, MemoryBytes: 64 << 30, Maintenance: true}
	hosts := []site.Host{host, resting}
	whole := func(name string) site.Element {
		return site.Element{ExtID: name, Name: name, Hosts: hosts, StorageBytes: new(int64(100 << 30)), FreeStorageBytes: new(int64(50 << 30))}
	}
	lost := site.Element{ExtID: "PE-1", Name: "PE-1", Unknown: map[site.Part]string{site.PartHosts: "HTTP 500", site.PartStorage: "HTTP 503"}}
	a := &v1alpha1.CloudAccount{}
	reportSite(a, sight{inventory: &site.Inventory{At: time.Unix(1000, 0), Elements: []site.Element{lost, whole("PE-2")}}})

	if e := a.Status.Elements[0]; e.Hosts != nil || e.SpareMemory != nil || e.FreeMemory != nil || e.FreeStorage != nil || e.VMs == nil {
		t.Errorf("PE-1 shows what is not known: %+v", e)
	}
	if e := a.Status.Elements[1]; e.Hosts == nil || *e.Hosts != 2 || *e.HostsInMaintenance != 1 || e.SpareMemory == nil || e.FreeMemory == nil || e.FreeStorage == nil {
		t.Errorf("PE-2 lacks what is known: %+v", e)
	}
	want := []v1alpha1.UnknownPart{
		{Part: "hosts", Reason: "Prism Element PE-1: HTTP 500"}, {Part: "storage capacity", Reason: "Prism Element PE-1: HTTP 503"},
	}
	if got := a.Status.Unknown; len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("unknown: %+v", got)
	}
}

// TestInsecureWarns shows that an account says of itself that nobody checks Prism Central's certificate, and only then.
func TestInsecureWarns(t *testing.T) {
	for _, insecure := range []bool{true, false} {
		a := &v1alpha1.CloudAccount{Spec: v1alpha1.CloudAccountSpec{Insecure: insecure}, Status: v1alpha1.CloudAccountStatus{Clusters: 3}}
		message := allProved(a)
		if !strings.HasPrefix(message, "the credentials are proved and distributed to 3 clusters") {
			t.Errorf("insecure %t: %s", insecure, message)
		}
		if warns := strings.Contains(message, "certificate of Prism Central is not checked (spec.insecure)"); warns != insecure {
			t.Errorf("insecure %t: %s", insecure, message)
		}
	}
}
