package simulator

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"
)

type category struct {
	Category
	revision int
}

func (c *category) String() string { return c.Key + "=" + c.Value }

var categorySchema = schema{fields: map[string]field{"key": text, "value": text}}

func (s *Server) categoryRoutes() {
	const base = "/api/prism/v4.2/config/categories"
	s.v4("GET "+base, "prism.v4.config.ListCategoriesApiResponse", s.listCategories)
	s.v4("POST "+base, "prism.v4.config.CreateCategoryApiResponse", s.createCategory)
	s.v4("GET "+base+"/{extId}", "prism.v4.config.GetCategoryApiResponse", s.getCategory)
	s.v4("DELETE "+base+"/{extId}", "prism.v4.config.DeleteCategoryApiResponse", s.deleteCategory)
}

func (c *category) document() object {
	doc := typed("prism.v4.config.Category", object{"extId": c.ExtID, "key": c.Key, "value": c.Value, "type": "USER"})
	if c.Description != "" {
		doc["description"] = c.Description
	}
	return doc
}

func (s *Server) listCategories(r *request) (reply, error) {
	sorted := slices.SortedFunc(maps.Values(s.categories), func(a, b *category) int {
		return cmp.Or(cmp.Compare(a.revision, b.revision), strings.Compare(a.ExtID, b.ExtID))
	})
	docs := make([]object, 0, len(sorted))
	for _, c := range sorted {
		docs = append(docs, c.document())
	}
	return list(r, docs, categorySchema)
}

func (s *Server) createCategory(r *request) (reply, error) {
	if _, err := queryOptions(r); err != nil {
		return reply{}, err
	}
	var wanted struct {
		typedRequest
		Key, Value, Description string
	}
	if err := decode(r.body, &wanted); err != nil {
		return reply{}, err
	}
	if wanted.Key == "" || wanted.Value == "" {
		return reply{}, invalid(http.StatusBadRequest, "a category needs a key and a value")
	}
	if found, err := s.categoryID(wanted.Key + "=" + wanted.Value); err == nil {
		return reply{}, &apiError{
			status: http.StatusConflict, group: "ALREADY_EXISTS",
			message: fmt.Sprintf("category %s=%s exists with extId %s", wanted.Key, wanted.Value, found),
		}
	}
	c := &category{
		Category: Category{Key: wanted.Key, Value: wanted.Value, Description: wanted.Description, ExtID: uuid.NewString()},
		revision: s.nextRevision(),
	}
	s.categories[c.ExtID] = c
	created := answer(http.StatusCreated, c.document())
	created.etag = etag(c.revision)
	return created, nil
}

func (s *Server) getCategory(r *request) (reply, error) {
	if _, err := queryOptions(r); err != nil {
		return reply{}, err
	}
	c, ok := s.categories[r.PathValue("extId")]
	if !ok {
		return reply{}, notFound("category", r.PathValue("extId"))
	}
	found := answer(http.StatusOK, c.document())
	found.etag = etag(c.revision)
	return found, nil
}

func (s *Server) deleteCategory(r *request) (reply, error) {
	if _, err := queryOptions(r); err != nil {
		return reply{}, err
	}
	c, ok := s.categories[r.PathValue("extId")]
	if !ok {
		return reply{}, notFound("category", r.PathValue("extId"))
	}
	if err := checkMatch(r, c.revision); err != nil {
		return reply{}, err
	}
	for _, vm := range s.vms {
		if slices.Contains(vm.categories, c.ExtID) {
			return reply{}, &apiError{
				status: http.StatusConflict, group: "IN_USE",
				message: fmt.Sprintf("category %s is on VM %s", c, vm.name),
			}
		}
	}
	delete(s.categories, c.ExtID)
	return answer(http.StatusNoContent, nil), nil
}

// categoryID finds a category by "key=value".
func (s *Server) categoryID(name string) (string, error) {
	for _, c := range s.categories {
		if c.String() == name {
			return c.ExtID, nil
		}
	}
	return "", fmt.Errorf("category %q does not exist", name)
}
