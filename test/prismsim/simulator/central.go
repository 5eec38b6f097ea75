package simulator

import (
	"maps"
	"net/http"
	"slices"
)

// domainManagerRoutes serves what Prism Central says of itself.
func (s *Server) domainManagerRoutes() {
	const base, pkg = "/api/prism/v4.2/config/domain-managers", "prism.v4.config."
	// Unlike other lists this one has no pages.
	s.v4("GET "+base, pkg+"ListDomainManagerApiResponse", func(r *request) (reply, error) {
		if _, err := queryOptions(r); err != nil {
			return reply{}, err
		}
		answered := answer(http.StatusOK, []object{s.domainManager()})
		answered.total = 1
		return answered, nil
	})
	s.v4("GET "+base+"/{extId}", pkg+"GetDomainManagerApiResponse", func(r *request) (reply, error) {
		if _, err := queryOptions(r); err != nil {
			return reply{}, err
		}
		if r.PathValue("extId") != s.model.PrismCentral.ExtID {
			return reply{}, notFound("domain manager", r.PathValue("extId"))
		}
		return answer(http.StatusOK, s.domainManager()), nil
	})
}

func (s *Server) domainManager() object {
	pc := s.model.PrismCentral
	return typed("prism.v4.config.DomainManager", object{
		"extId": pc.ExtID,
		"config": typed("prism.v4.config.DomainManagerClusterConfig", object{
			"name":      pc.Name,
			"buildInfo": typed("clustermgmt.v4.config.BuildInfo", object{"version": pc.Version}),
		}),
	})
}

// userRoutes serves who may log in. The clients use version 4.0 of this API.
func (s *Server) userRoutes() {
	s.collection("/api/iam/v4.0/authn/users", "iam.v4.authn", "User", "Users",
		schema{fields: map[string]field{"username": text}}, s.userDocuments)
}

func (s *Server) userDocuments() []object {
	docs := make([]object, 0, len(s.gate.users))
	for _, name := range slices.Sorted(maps.Keys(s.gate.users)) {
		docs = append(docs, typed("iam.v4.authn.User", object{
			"extId": derivedID("user/" + name), "username": name, "userType": "LOCAL", "status": "ACTIVE",
		}))
	}
	return docs
}
