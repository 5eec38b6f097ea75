package simulator

import "slices"

// gpuVendor is the vendor of all GPUs, in the words of a VM's GPU; profiles say
// it differently.
const (
	gpuVendor        = "NVIDIA"
	gpuProfileVendor = "kNvidia"
)

var (
	physicalGPUSchema = schema{fields: map[string]field{
		"physicalGpuConfig/deviceName": text, "physicalGpuConfig/deviceId": number,
	}}
	virtualGPUSchema = schema{fields: map[string]field{
		"virtualGpuConfig/deviceName": text, "virtualGpuConfig/deviceId": number,
	}}
)

// gpuRoutes serves the kinds of GPU of a cluster, one profile for each.
func (s *Server) gpuRoutes() {
	s.v4("GET "+clustersPath+"/{extId}/physical-gpu-profiles", clusterPackage+"ListPhysicalGpuProfilesApiResponse",
		s.gpuProfiles(physicalGPUSchema, func(g GPU, config, doc object) bool {
			config["mode"] = "USED_FOR_PASSTHROUGH"
			doc["physicalGpuConfig"] = typed(clusterPackage+"PhysicalGpuConfig", config)
			typed(clusterPackage+"PhysicalGpuProfile", doc)
			return g.Mode != GPUVirtual
		}))
	s.v4("GET "+clustersPath+"/{extId}/virtual-gpu-profiles", clusterPackage+"ListVirtualGpuProfilesApiResponse",
		s.gpuProfiles(virtualGPUSchema, func(g GPU, config, doc object) bool {
			doc["virtualGpuConfig"] = typed(clusterPackage+"VirtualGpuConfig", config)
			typed(clusterPackage+"VirtualGpuProfile", doc)
			return g.Mode == GPUVirtual
		}))
}

// gpuProfiles lists the profiles that complete wants, after it has completed them.
func (s *Server) gpuProfiles(known schema, complete func(g GPU, config, doc object) bool) handler {
	return func(r *request) (reply, error) {
		element, err := s.elementOf(r)
		if err != nil {
			return reply{}, err
		}
		var docs []object
		for _, g := range profilesOf(element) {
			holders, taken := s.holders(element, g.DeviceID)
			free := max(g.Count-taken, 0)
			config := object{
				"deviceName": g.Name, "deviceId": g.DeviceID, "type": g.Mode, "vendorName": gpuProfileVendor,
				"assignable": free, "isInUse": free == 0,
			}
			doc := object{"extId": derivedID("gpu/" + element.ExtID + "/" + g.Name)}
			if len(holders) > 0 {
				doc["allocatedVmExtIds"] = holders
			}
			if complete(g, config, doc) {
				docs = append(docs, doc)
			}
		}
		return list(r, docs, known)
	}
}

// holders returns the VMs on a cluster that are on and have a kind of GPU, and how
// many they have of it.
func (s *Server) holders(element PrismElement, deviceID int) (vms []string, taken int) {
	for _, m := range s.sortedVMs() {
		if m.cluster != element.ExtID || !m.on {
			continue
		}
		for _, g := range m.gpus {
			if g.deviceID != deviceID {
				continue
			}
			taken++
			if !slices.Contains(vms, m.extID) {
				vms = append(vms, m.extID)
			}
		}
	}
	return vms, taken
}
