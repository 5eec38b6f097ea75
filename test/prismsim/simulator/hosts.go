package simulator

import (
	"fmt"
	"net/http"
)

const (
	clusterPackage = "clustermgmt.v4.config."
	clustersPath   = "/api/clustermgmt/v4.2/config/clusters"
	// hostFrequency is the clock of every CPU, in Hz.
	hostFrequency = 2_600_000_000
)

// clusterDocuments are Prism Central's own cluster, as the real one lists itself,
// and the Prism Elements.
func (s *Server) clusterDocuments() []object {
	pc := s.model.PrismCentral
	docs := []object{clusterDocument(pc.ExtID, pc.Name, "PRISM_CENTRAL", pc.Version, true)}
	for _, e := range s.model.PrismElements {
		doc := clusterDocument(e.ExtID, e.Name, "AOS", e.AOSVersion, !s.away(e))
		if len(e.Hosts) > 0 {
			nodes := make([]object, 0, len(e.Hosts))
			for _, h := range e.Hosts {
				nodes = append(nodes, typed(clusterPackage+"NodeListItemReference", object{"nodeUuid": h.ExtID}))
			}
			doc["nodes"] = typed(clusterPackage+"NodeReference", object{"numberOfNodes": len(nodes), "nodeList": nodes})
		}
		vms := 0
		for _, m := range s.vms {
			if m.cluster == e.ExtID {
				vms++
			}
		}
		doc["vmCount"] = vms
		docs = append(docs, doc)
	}
	return docs
}

func clusterDocument(extID, name, function, version string, available bool) object {
	return typed(clusterPackage+"Cluster", object{
		"extId": extID,
		"name":  name,
		"config": typed(clusterPackage+"ClusterConfigReference", object{
			"clusterFunction": []string{function},
			"hypervisorTypes": []string{"AHV"},
			"isAvailable":     available,
			"buildInfo":       typed(clusterPackage+"BuildReference", object{"version": version}),
		}),
	})
}

func (s *Server) hostRoutes() {
	s.v4("GET /api/clustermgmt/v4.2/config/hosts", clusterPackage+"ListHostsApiResponse", func(r *request) (reply, error) {
		var docs []object
		for _, e := range s.model.PrismElements {
			docs = append(docs, s.hostDocuments(e)...)
		}
		return list(r, docs, schema{})
	})
	s.v4("GET "+clustersPath+"/{extId}/hosts", clusterPackage+"ListHostsByClusterIdApiResponse", func(r *request) (reply, error) {
		element, err := s.elementOf(r)
		if err != nil {
			return reply{}, err
		}
		return list(r, s.hostDocuments(element), schema{})
	})
	s.v4("GET "+clustersPath+"/{extId}/hosts/{hostExtId}", clusterPackage+"GetHostApiResponse", func(r *request) (reply, error) {
		if _, err := queryOptions(r); err != nil {
			return reply{}, err
		}
		element, err := s.elementOf(r)
		if err != nil {
			return reply{}, err
		}
		for _, doc := range s.hostDocuments(element) {
			if doc["extId"] == r.PathValue("hostExtId") {
				return answer(http.StatusOK, doc), nil
			}
		}
		return reply{}, notFound("Host", r.PathValue("hostExtId"))
	})
}

// elementOf finds the Prism Element of a path. Prism Central's own cluster has no
// hosts, no GPUs and no VMs.
func (s *Server) elementOf(r *request) (PrismElement, error) {
	id := r.PathValue("extId")
	if id == s.model.PrismCentral.ExtID {
		return PrismElement{ExtID: id, Name: s.model.PrismCentral.Name}, nil
	}
	element, ok := find(s.model.PrismElements, func(e PrismElement) bool { return e.ExtID == id })
	if !ok {
		return PrismElement{}, notFound("Cluster", id)
	}
	return element, nil
}

func (s *Server) hostDocuments(element PrismElement) []object {
	uses := s.uses("")
	docs := make([]object, 0, len(element.Hosts))
	for _, h := range element.Hosts {
		// The words of maintenanceState are not established; the hypervisor's
		// state is an enumeration of the API.
		maintenance, state := "normal", "ACROPOLIS_NORMAL"
		if h.Maintenance {
			maintenance, state = "entered_maintenance_mode", "ENTERED_MAINTENANCE_MODE"
		}
		doc := typed(clusterPackage+"Host", object{
			"extId":              h.ExtID,
			"hostName":           h.Name,
			"hostType":           "HYPER_CONVERGED",
			"nodeStatus":         "NORMAL",
			"maintenanceState":   maintenance,
			"numberOfCpuSockets": h.Sockets,
			"numberOfCpuCores":   h.Cores,
			"numberOfCpuThreads": h.Threads,
			"cpuFrequencyHz":     int64(hostFrequency),
			"cpuCapacityHz":      int64(h.Cores) * hostFrequency,
			"memorySizeBytes":    h.MemoryBytes,
			"cluster":            typed(clusterPackage+"ClusterReference", object{"uuid": element.ExtID, "name": element.Name}),
			"hypervisor": typed(clusterPackage+"HypervisorReference", object{
				"type": "AHV", "state": state, "acropolisConnectionState": "CONNECTED", "numberOfVms": uses[h.ExtID].vms,
			}),
		})
		var gpus []string
		for _, g := range h.GPUs {
			gpus = append(gpus, fmt.Sprintf("%d x %s", g.Count, g.Name))
		}
		if gpus != nil {
			doc["gpuList"] = gpus
		}
		docs = append(docs, doc)
	}
	return docs
}
