package simulator

import (
	"net/http"
	"slices"
	"strconv"
	"time"
)

// statsRoutes serves what is in use now. The simulator keeps no past: each series
// has one value, the one of this moment, with the end of the asked interval as its
// time. Usage of CPU is taken to be half of the virtual CPUs that are on.
func (s *Server) statsRoutes() {
	const base, pkg = "/api/clustermgmt/v4.2/stats", "clustermgmt.v4.stats."
	s.v4("GET "+base+"/clusters/{extId}", pkg+"ClusterStatsApiResponse", s.clusterStats)
	s.v4("GET "+base+"/clusters/{extId}/hosts/{hostExtId}", pkg+"HostStatsApiResponse", s.hostStats)
	s.v4("GET "+base+"/storage-containers/{extId}", pkg+"GetStorageContainerStatsApiResponse", s.containerStats)
}

// samples makes the series of one answer.
type samples struct {
	at string
	// pair is the $objectType of a value; the API has two of the same shape.
	pair string
	// silent is set when the cluster is out of reach: no series has a value then.
	silent bool
}

func (p samples) of(value int64) []object {
	if p.silent {
		return []object{}
	}
	return []object{typed(p.pair, object{"timestamp": p.at, "value": value})}
}

// interval reads the options of a request for statistics.
func interval(r *request, pair string) (samples, error) {
	options, err := queryOptions(r, "$startTime", "$endTime", "$samplingInterval", "$statType")
	if err != nil {
		return samples{}, err
	}
	start, err := time.Parse(time.RFC3339, options["$startTime"])
	if err != nil {
		return samples{}, invalid(http.StatusBadRequest, "$startTime is required, as RFC 3339: %v", err)
	}
	end, err := time.Parse(time.RFC3339, options["$endTime"])
	if err != nil {
		return samples{}, invalid(http.StatusBadRequest, "$endTime is required, as RFC 3339: %v", err)
	}
	if !end.After(start) {
		return samples{}, invalid(http.StatusBadRequest, "$endTime %s is not after $startTime %s", options["$endTime"], options["$startTime"])
	}
	if given, ok := options["$samplingInterval"]; ok {
		if n, err := strconv.Atoi(given); err != nil || n < 1 {
			return samples{}, invalid(http.StatusBadRequest, "$samplingInterval=%s is not a positive number of seconds", given)
		}
	}
	operators := []string{"SUM", "MIN", "MAX", "AVG", "COUNT", "LAST"}
	if given, ok := options["$statType"]; ok && !slices.Contains(operators, given) {
		return samples{}, invalid(http.StatusBadRequest, "$statType=%s is none of %v", given, operators)
	}
	return samples{at: end.UTC().Format(time.RFC3339), pair: pair}, nil
}

const pairOfClusters = "clustermgmt.v4.stats.TimeValuePair"

func (s *Server) clusterStats(r *request) (reply, error) {
	p, err := interval(r, pairOfClusters)
	if err != nil {
		return reply{}, err
	}
	element, err := s.elementOf(r)
	if err != nil {
		return reply{}, err
	}
	p.silent = s.away(element)
	uses := s.uses("")
	var total Host
	var used hostUse
	for _, h := range element.Hosts {
		total.Cores += h.Cores
		total.MemoryBytes += h.MemoryBytes
		used.vcpus += uses[h.ExtID].vcpus
		used.memory += uses[h.ExtID].memory
	}
	doc := typed("clustermgmt.v4.stats.ClusterStats", object{"extId": element.ExtID})
	if len(element.Hosts) > 0 {
		computeStats(doc, p, total, used)
	}
	if capacity, stored := s.storageOf(element); capacity > 0 {
		doc["storageCapacityBytes"] = p.of(capacity)
		doc["storageUsageBytes"] = p.of(stored)
		doc["freePhysicalStorageBytes"] = p.of(max(capacity-stored, 0))
	}
	return answer(http.StatusOK, doc), nil
}

// storageOf adds up the containers of a cluster that have a capacity.
func (s *Server) storageOf(element PrismElement) (capacity, stored int64) {
	bytes := s.stored("")
	for _, c := range s.model.StorageContainers {
		if c.PrismElement == element.Name && c.CapacityBytes > 0 {
			capacity += c.CapacityBytes
			stored += bytes[c.ExtID]
		}
	}
	return capacity, stored
}

func (s *Server) hostStats(r *request) (reply, error) {
	p, err := interval(r, pairOfClusters)
	if err != nil {
		return reply{}, err
	}
	element, err := s.elementOf(r)
	if err != nil {
		return reply{}, err
	}
	id := r.PathValue("hostExtId")
	host, ok := find(element.Hosts, func(h Host) bool { return h.ExtID == id })
	if !ok {
		return reply{}, notFound("Host", id)
	}
	p.silent = s.away(element)
	doc := typed("clustermgmt.v4.stats.HostStats", object{"extId": id})
	computeStats(doc, p, host, s.uses("")[id])
	return answer(http.StatusOK, doc), nil
}

func computeStats(doc object, p samples, h Host, use hostUse) {
	capacity := int64(h.Cores) * hostFrequency
	busy := min(int64(use.vcpus)*hostFrequency/2, capacity)
	doc["cpuCapacityHz"], doc["cpuUsageHz"] = p.of(capacity), p.of(busy)
	doc["memoryCapacityBytes"], doc["overallMemoryUsageBytes"] = p.of(h.MemoryBytes), p.of(use.memory)
	doc["hypervisorCpuUsagePpm"] = p.of(ppm(busy, capacity))
	doc["aggregateHypervisorMemoryUsagePpm"] = p.of(ppm(use.memory, h.MemoryBytes))
}

// ppm is parts per million, without overflow for the sizes of a site.
func ppm(part, whole int64) int64 {
	if whole == 0 {
		return 0
	}
	return int64(float64(part) / float64(whole) * 1_000_000)
}

func (s *Server) containerStats(r *request) (reply, error) {
	p, err := interval(r, "common.v1.stats.TimeIntValuePair")
	if err != nil {
		return reply{}, err
	}
	id := r.PathValue("extId")
	c, ok := find(s.model.StorageContainers, func(c StorageContainer) bool { return c.ExtID == id })
	if !ok {
		return reply{}, notFound("StorageContainer", id)
	}
	element, _ := find(s.model.PrismElements, func(e PrismElement) bool { return e.Name == c.PrismElement })
	p.silent = s.away(element)
	used := s.stored("")[id]
	doc := typed("clustermgmt.v4.stats.StorageContainerStats", object{"extId": id, "storageUsageBytes": p.of(used)})
	if c.CapacityBytes > 0 {
		doc["storageCapacityBytes"] = p.of(c.CapacityBytes)
		doc["storageFreeBytes"] = p.of(max(c.CapacityBytes-used, 0))
	}
	return answer(http.StatusOK, doc), nil
}
