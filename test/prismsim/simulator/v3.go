package simulator

import "net/http"

// v3Routes serves the parts of the v3 API that are still in use: the login, the
// projects, which have no v4 API, and the version.
func (s *Server) v3Routes() {
	const base = "/api/nutanix/v3"
	s.route("GET "+base+"/users/me", s.serve(s.me, plain))
	s.route("POST "+base+"/projects/list", s.serve(s.listProjects, plain))
	s.route("GET "+base+"/projects/{uuid}", s.serve(s.getProject, plain))
	s.route("GET "+base+"/prism_central", s.serve(s.prismCentral, plain))
}

func (s *Server) me(r *request) (reply, error) {
	_, err := queryOptions(r)
	return answer(http.StatusOK, object{
		"api_version": "3.1",
		"status":      object{"state": "COMPLETE", "name": r.session.User},
		"spec":        object{"resources": object{}},
		"metadata":    object{"kind": "user", "uuid": orID("", "user", r.session.User)},
	}), err
}

func (s *Server) prismCentral(r *request) (reply, error) {
	_, err := queryOptions(r)
	return answer(http.StatusOK, object{"resources": object{
		"type": "PC", "version": s.model.PrismCentral.Version, "cluster_uuid": s.model.PrismCentral.ExtID,
	}}), err
}

// v3Page is the number of projects that are listed unless asked otherwise.
const v3Page = 20

func (s *Server) listProjects(r *request) (reply, error) {
	if _, err := queryOptions(r); err != nil {
		return reply{}, err
	}
	query := struct {
		Kind, Filter   string
		Length, Offset int
	}{Length: v3Page}
	if err := decode(r.body, &query); err != nil {
		return reply{}, err
	}
	switch {
	case query.Kind != "project" && query.Kind != "":
		return reply{}, invalid(http.StatusUnprocessableEntity, "kind is %q, not project", query.Kind)
	case query.Filter != "":
		return reply{}, notSimulated("filter %q of projects/list is not known", query.Filter)
	case query.Length < 0 || query.Offset < 0:
		return reply{}, invalid(http.StatusUnprocessableEntity, "length and offset must not be negative")
	}
	projects := s.model.Projects
	from := min(query.Offset, len(projects))
	shown := projects[from:][:min(query.Length, len(projects)-from)]
	entities := make([]object, 0, len(shown))
	for _, p := range shown {
		entities = append(entities, projectDocument(p))
	}
	return answer(http.StatusOK, object{
		"api_version": "3.1",
		"entities":    entities,
		"metadata": object{
			"kind": "project", "total_matches": len(projects), "length": len(shown), "offset": query.Offset,
		},
	}), nil
}

func (s *Server) getProject(r *request) (reply, error) {
	if _, err := queryOptions(r); err != nil {
		return reply{}, err
	}
	for _, p := range s.model.Projects {
		if p.ExtID == r.PathValue("uuid") {
			return answer(http.StatusOK, projectDocument(p)), nil
		}
	}
	return reply{}, notFound("project", r.PathValue("uuid"))
}

func projectDocument(p Project) object {
	return object{
		"api_version": "3.1",
		"status":      object{"state": "COMPLETE", "name": p.Name, "resources": object{}},
		"spec":        object{"name": p.Name, "resources": object{}},
		"metadata":    object{"kind": "project", "uuid": p.ExtID, "name": p.Name},
	}
}
