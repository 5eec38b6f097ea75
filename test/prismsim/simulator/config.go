package simulator

import (
	"net/http"
	"net/netip"
	"slices"
	"time"
)

var (
	byName          = schema{fields: map[string]field{"name": text}}
	containerSchema = schema{fields: map[string]field{
		"containerExtId": text, "name": text, "clusterExtId": text, "clusterName": text,
	}}
)

// configRoutes serves what is only read.
func (s *Server) configRoutes() {
	s.collection("/api/clustermgmt/v4.2/config/clusters", "clustermgmt.v4.config", "Cluster", "Clusters",
		byName, s.clusterDocuments)
	s.collection("/api/clustermgmt/v4.2/config/storage-containers", "clustermgmt.v4.config", "StorageContainer", "StorageContainers",
		containerSchema, s.containerDocuments)
	s.collection("/api/networking/v4.2/config/subnets", "networking.v4.config", "Subnet", "Subnets",
		byName, s.subnetDocuments)
	s.collection("/api/vmm/v4.2/content/images", "vmm.v4.content", "Image", "Images",
		byName, s.imageDocuments)
	s.hostRoutes()
	s.gpuRoutes()
	s.statsRoutes()
	s.domainManagerRoutes()
	s.userRoutes()
	s.volumeRoutes()
}

// collection adds the list and the get of things that do not change.
func (s *Server) collection(base, pkg, one, many string, known schema, documents func() []object) {
	s.v4("GET "+base, pkg+".List"+many+"ApiResponse", func(r *request) (reply, error) {
		return list(r, documents(), known)
	})
	s.v4("GET "+base+"/{extId}", pkg+".Get"+one+"ApiResponse", func(r *request) (reply, error) {
		if _, err := queryOptions(r); err != nil {
			return reply{}, err
		}
		for _, doc := range documents() {
			if doc["extId"] == r.PathValue("extId") {
				return answer(http.StatusOK, doc), nil
			}
		}
		return reply{}, notFound(one, r.PathValue("extId"))
	})
}

func (s *Server) containerDocuments() []object {
	docs := make([]object, 0, len(s.model.StorageContainers))
	for _, c := range s.model.StorageContainers {
		clusterID, _ := s.elementID(c.PrismElement)
		doc := typed("clustermgmt.v4.config.StorageContainer", object{
			"extId":          c.ExtID,
			"containerExtId": c.ExtID,
			"name":           c.Name,
			"clusterExtId":   clusterID,
			"clusterName":    c.PrismElement,
		})
		if c.CapacityBytes > 0 {
			doc["maxCapacityBytes"] = c.CapacityBytes
		}
		docs = append(docs, doc)
	}
	return docs
}

func (s *Server) imageDocuments() []object {
	docs := make([]object, 0, len(s.model.Images))
	for _, i := range s.model.Images {
		doc := typed("vmm.v4.content.Image", object{
			"extId":                 i.ExtID,
			"name":                  i.Name,
			"type":                  "DISK_IMAGE",
			"sizeBytes":             i.SizeBytes,
			"createTime":            i.CreateTime.UTC().Format(time.RFC3339),
			"clusterLocationExtIds": s.locations(i),
		})
		if i.SHA256 != "" {
			doc["checksum"] = typed("vmm.v4.content.ImageSha256Checksum", object{"hexDigest": i.SHA256})
		}
		docs = append(docs, doc)
	}
	return docs
}

// locations returns the extIds of the clusters that hold an image.
func (s *Server) locations(i Image) []string {
	var ids []string
	for _, e := range s.model.PrismElements {
		if len(i.PrismElements) == 0 || slices.Contains(i.PrismElements, e.Name) {
			ids = append(ids, e.ExtID)
		}
	}
	return ids
}

func (s *Server) subnetDocuments() []object {
	docs := make([]object, 0, len(s.model.Subnets))
	for _, n := range s.model.Subnets {
		docs = append(docs, s.subnetDocument(n))
	}
	return docs
}

func (s *Server) subnetDocument(n Subnet) object {
	var clusters []string
	for _, name := range n.PrismElements {
		if id, err := s.elementID(name); err == nil {
			clusters = append(clusters, id)
		}
	}
	pool := typed("networking.v4.config.IPv4Pool", object{"startIp": ipAddress(n.FirstIP), "endIp": ipAddress(n.LastIP)})
	total, used := poolSize(n), len(s.addressesOf(n.ExtID))
	doc := typed("networking.v4.config.Subnet", object{
		"extId":                n.ExtID,
		"name":                 n.Name,
		"subnetType":           "VLAN",
		"networkId":            n.VLAN,
		"clusterReferenceList": clusters,
		"ipConfig": []object{typed("networking.v4.config.IPConfig", object{
			"ipv4": typed("networking.v4.config.IPv4Config", object{
				"ipSubnet": typed("networking.v4.config.IPv4Subnet", object{
					"ip": ipAddress(n.Network.Masked().Addr()), "prefixLength": n.Network.Bits(),
				}),
				"defaultGatewayIp": ipAddress(n.Gateway),
				"poolList":         []object{pool},
			}),
		})},
		"ipUsage": typed("networking.v4.config.IPUsage", object{
			"numAssignedIPs": used,
			"numFreeIPs":     total - used,
			"ipPoolUsages": []object{typed("networking.v4.config.IPPoolUsage", object{
				"numTotalIPs": total, "numFreeIPs": total - used, "range": pool,
			})},
		}),
	})
	if len(clusters) > 0 {
		doc["clusterReference"] = clusters[0]
	}
	return doc
}

func ipAddress(a netip.Addr) object {
	return typed("common.v1.config.IPv4Address", object{"value": a.String(), "prefixLength": 32})
}
