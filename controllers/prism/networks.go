package prism

import (
	"context"
	"net/netip"

	address "github.com/nutanix/ntnx-api-golang-clients/networking-go-client/v4/models/common/v1/config"
	"github.com/nutanix/ntnx-api-golang-clients/networking-go-client/v4/models/common/v1/response"
	config "github.com/nutanix/ntnx-api-golang-clients/networking-go-client/v4/models/networking/v4/config"

	"github.com/refract-dev/refract/render/site"
)

func networkTotal(m *response.ApiResponseMetadata) *int {
	if m == nil {
		return nil
	}
	return m.TotalAvailableResults
}

func (r *reading) subnets(ctx context.Context) error {
	subnets, err := readList(ctx, r.door, listing[config.Subnet]{
		part: site.PartSubnets,
		id:   func(s config.Subnet) string { return deref(s.ExtId) },
		fetch: sdkPage(r.door, func(w *worker, number, limit *int) (page[config.Subnet], error) {
			a, err := w.subnets.ListSubnets(number, limit, nil, nil, nil, nil)
			if err != nil {
				return page[config.Subnet]{}, err
			}
			return pageOf[config.Subnet](a.GetData(), networkTotal(a.Metadata))
		}),
	})
	for _, s := range subnets {
		r.found.Subnets = append(r.found.Subnets, subnetOf(s))
	}
	return err
}

func subnetOf(s config.Subnet) site.Subnet {
	subnet := site.Subnet{ExtID: deref(s.ExtId), Name: deref(s.Name), Elements: s.ClusterReferenceList}
	if one := deref(s.ClusterReference); len(subnet.Elements) == 0 && one != "" {
		subnet.Elements = []string{one}
	}
	for _, c := range s.IpConfig {
		if c.Ipv4 == nil {
			continue
		}
		if !subnet.Prefix.IsValid() {
			subnet.Prefix = prefixOf(c.Ipv4.IpSubnet)
		}
		for _, pool := range c.Ipv4.PoolList {
			if found := rangeOf(pool); found.First.IsValid() && found.Last.IsValid() {
				subnet.Pools = append(subnet.Pools, found)
			}
		}
	}
	if s.IpUsage != nil {
		subnet.FreeIPs = s.IpUsage.NumFreeIPs
	}
	return subnet
}

func prefixOf(s *config.IPv4Subnet) netip.Prefix {
	if s == nil || s.PrefixLength == nil {
		return netip.Prefix{}
	}
	prefix, err := ipOf(s.Ip).Prefix(*s.PrefixLength)
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}

func rangeOf(p config.IPv4Pool) site.Range { return site.Range{First: ipOf(p.StartIp), Last: ipOf(p.EndIp)} }

// ipOf is an address, invalid when there is none.
func ipOf(a *address.IPv4Address) netip.Addr {
	if a == nil {
		return netip.Addr{}
	}
	return parseIP(a.Value)
}

func parseIP(text *string) netip.Addr {
	ip, err := netip.ParseAddr(deref(text))
	if err != nil {
		return netip.Addr{}
	}
	return ip
}
