package prism

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	config "github.com/nutanix/ntnx-api-golang-clients/clustermgmt-go-client/v4/models/clustermgmt/v4/config"
	stats "github.com/nutanix/ntnx-api-golang-clients/clustermgmt-go-client/v4/models/clustermgmt/v4/stats"
	"github.com/nutanix/ntnx-api-golang-clients/clustermgmt-go-client/v4/models/common/v1/response"
	sampling "github.com/nutanix/ntnx-api-golang-clients/clustermgmt-go-client/v4/models/common/v1/stats"

	"github.com/refract-dev/refract/render/site"
)

func clusterTotal(m *response.ApiResponseMetadata) *int {
	if m == nil {
		return nil
	}
	return m.TotalAvailableResults
}

func (r *reading) elements(ctx context.Context) error {
	clusters, err := readList(ctx, r.door, listing[config.Cluster]{
		part: site.PartElements,
		id:   func(c config.Cluster) string { return deref(c.ExtId) },
		fetch: sdkPage(r.door, func(w *worker, number, limit *int) (page[config.Cluster], error) {
			a, err := w.clusters.ListClusters(number, limit, nil, nil, nil, nil, nil)
			if err != nil {
				return page[config.Cluster]{}, err
			}
			return pageOf[config.Cluster](a.GetData(), clusterTotal(a.Metadata))
		}),
	})
	if err != nil {
		return err
	}
	for _, c := range clusters {
		if runsVMs(c) {
			r.found.Elements = append(r.found.Elements, elementOf(c))
		}
	}
	return nil
}

// runsVMs is false for Prism Central itself, which is listed among its clusters.
func runsVMs(c config.Cluster) bool {
	return c.Config == nil || len(c.Config.ClusterFunction) == 0 ||
		slices.Contains(c.Config.ClusterFunction, config.CLUSTERFUNCTIONREF_AOS)
}

func elementOf(c config.Cluster) site.Element {
	e := site.Element{ExtID: deref(c.ExtId), Name: deref(c.Name)}
	if c.Config != nil {
		e.Available = c.Config.IsAvailable
		if c.Config.BuildInfo != nil {
			e.AOSVersion = deref(c.Config.BuildInfo.Version)
		}
	}
	return e
}

func (r *reading) hosts(ctx context.Context, e *site.Element) error {
	hosts, err := readList(ctx, r.door, listing[config.Host]{
		part: site.PartHosts,
		id:   func(h config.Host) string { return deref(h.ExtId) },
		fetch: sdkPage(r.door, func(w *worker, number, limit *int) (page[config.Host], error) {
			a, err := w.clusters.ListHostsByClusterId(&e.ExtID, number, limit, nil, nil, nil, nil)
			if err != nil {
				return page[config.Host]{}, err
			}
			return pageOf[config.Host](a.GetData(), clusterTotal(a.Metadata))
		}),
	})
	if err != nil {
		return err
	}
	for _, h := range hosts {
		if h.MemorySizeBytes == nil || h.NumberOfCpuCores == nil {
			// Taken for 0, it would look as if nothing fitted there.
			return &Error{
				Reason:  Misbehaving,
				Message: fmt.Sprintf("Prism Central %s does not tell cores and memory of the host %q", r.door.gate.name, deref(h.HostName)),
			}
		}
	}
	for _, h := range hosts {
		e.Hosts = append(e.Hosts, hostOf(h))
	}
	return nil
}

func hostOf(h config.Host) site.Host {
	return site.Host{
		ExtID: deref(h.ExtId), Name: deref(h.HostName),
		Cores: deref(h.NumberOfCpuCores), Threads: deref(h.NumberOfCpuThreads), MemoryBytes: deref(h.MemorySizeBytes),
		Maintenance: inMaintenance(deref(h.MaintenanceState)),
	}
}

// inMaintenance reads a free text: "normal" and "kNone" are hosts at work. Any other word is taken for maintenance:
// room that is not there costs more than room that was not counted.
func inMaintenance(state string) bool {
	switch strings.ToLower(strings.TrimPrefix(state, "k")) {
	case "", "normal", "none", "not_in_maintenance", "null":
		return false
	}
	return true
}

// statsWindow is how far back a sample may lie, a clock that is off included.
const statsWindow = 15 * time.Minute

func (r *reading) storage(ctx context.Context, e *site.Element) error {
	from, to := r.found.At.Add(-statsWindow), r.found.At
	last := sampling.DOWNSAMPLINGOPERATOR_LAST
	figures, err := ask(ctx, r.door, func(w *worker) (stats.ClusterStats, error) {
		a, err := w.clusters.GetClusterStats(&e.ExtID, &from, &to, nil, &last, nil)
		if err != nil {
			return stats.ClusterStats{}, err
		}
		figures, ok := a.GetData().(stats.ClusterStats)
		if !ok {
			return figures, errors.New("no statistics in it")
		}
		return figures, nil
	})
	if err != nil {
		return err
	}
	e.StorageBytes = newest(figures.StorageCapacityBytes)
	e.FreeStorageBytes = newest(figures.FreePhysicalStorageBytes)
	if used := newest(figures.StorageUsageBytes); e.FreeStorageBytes == nil && e.StorageBytes != nil && used != nil {
		free := max(*e.StorageBytes-*used, 0)
		e.FreeStorageBytes = &free
	}
	return nil
}

// newest sample of a series; nil when there is none.
func newest(series []stats.TimeValuePair) *int64 {
	var at time.Time
	var value *int64
	for _, sample := range series {
		if sample.Value != nil && (value == nil || !deref(sample.Timestamp).Before(at)) {
			at, value = deref(sample.Timestamp), sample.Value
		}
	}
	return value
}

func (r *reading) gpus(ctx context.Context, e *site.Element) error {
	whole, err := r.wholeGPUs(ctx, e.ExtID)
	if err != nil {
		return err
	}
	shared, err := r.sharedGPUs(ctx, e.ExtID)
	if err != nil {
		return err
	}
	e.GPUs = profilesOf(whole, shared)
	return nil
}

func (r *reading) wholeGPUs(ctx context.Context, element string) ([]config.PhysicalGpuProfile, error) {
	return readList(ctx, r.door, listing[config.PhysicalGpuProfile]{
		part: site.PartGPUs,
		id:   func(p config.PhysicalGpuProfile) string { return deref(p.ExtId) },
		fetch: sdkPage(r.door, func(w *worker, number, limit *int) (page[config.PhysicalGpuProfile], error) {
			a, err := w.clusters.ListPhysicalGpuProfiles(&element, number, limit, nil, nil)
			if err != nil {
				return page[config.PhysicalGpuProfile]{}, err
			}
			return pageOf[config.PhysicalGpuProfile](a.GetData(), clusterTotal(a.Metadata))
		}),
	})
}

func (r *reading) sharedGPUs(ctx context.Context, element string) ([]config.VirtualGpuProfile, error) {
	return readList(ctx, r.door, listing[config.VirtualGpuProfile]{
		part: site.PartGPUs,
		id:   func(p config.VirtualGpuProfile) string { return deref(p.ExtId) },
		fetch: sdkPage(r.door, func(w *worker, number, limit *int) (page[config.VirtualGpuProfile], error) {
			a, err := w.clusters.ListVirtualGpuProfiles(&element, number, limit, nil, nil)
			if err != nil {
				return page[config.VirtualGpuProfile]{}, err
			}
			return pageOf[config.VirtualGpuProfile](a.GetData(), clusterTotal(a.Metadata))
		}),
	})
}

func profilesOf(whole []config.PhysicalGpuProfile, shared []config.VirtualGpuProfile) []site.GPUProfile {
	var all []site.GPUProfile
	for _, p := range whole {
		if c := p.PhysicalGpuConfig; c != nil {
			all = append(all, site.GPUProfile{
				Name: deref(c.DeviceName), DeviceID: deref(c.DeviceId), Mode: site.GPUPassthrough, Assignable: c.Assignable,
			})
		}
	}
	for _, p := range shared {
		if c := p.VirtualGpuConfig; c != nil {
			all = append(all, site.GPUProfile{
				Name: deref(c.DeviceName), DeviceID: deref(c.DeviceId), Mode: site.GPUVirtual, Assignable: c.Assignable,
			})
		}
	}
	return all
}

func (r *reading) containers(ctx context.Context) error {
	containers, err := readList(ctx, r.door, listing[config.StorageContainer]{
		part: site.PartContainers,
		id:   containerID,
		fetch: sdkPage(r.door, func(w *worker, number, limit *int) (page[config.StorageContainer], error) {
			a, err := w.containers.ListStorageContainers(number, limit, nil, nil, nil)
			if err != nil {
				return page[config.StorageContainer]{}, err
			}
			return pageOf[config.StorageContainer](a.GetData(), clusterTotal(a.Metadata))
		}),
	})
	for _, c := range containers {
		r.found.Containers = append(r.found.Containers, site.Container{
			ExtID: containerID(c), Name: deref(c.Name), Element: deref(c.ClusterExtId),
		})
	}
	return err
}

// containerID is the identifier that disks refer to.
func containerID(c config.StorageContainer) string {
	if id := deref(c.ContainerExtId); id != "" {
		return id
	}
	return deref(c.ExtId)
}

// deref is the value, or nothing.
func deref[T any](p *T) T {
	var none T
	if p == nil {
		return none
	}
	return *p
}
