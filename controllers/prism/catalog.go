package prism

import (
	"context"
	"net/http"

	"github.com/nutanix/ntnx-api-golang-clients/prism-go-client/v4/models/common/v1/response"
	config "github.com/nutanix/ntnx-api-golang-clients/prism-go-client/v4/models/prism/v4/config"
	vmmresponse "github.com/nutanix/ntnx-api-golang-clients/vmm-go-client/v4/models/common/v1/response"
	"github.com/nutanix/ntnx-api-golang-clients/vmm-go-client/v4/models/vmm/v4/content"

	"github.com/refract-dev/refract/render/site"
)

func centralTotal(m *response.ApiResponseMetadata) *int {
	if m == nil {
		return nil
	}
	return m.TotalAvailableResults
}

func vmmTotal(m *vmmresponse.ApiResponseMetadata) *int {
	if m == nil {
		return nil
	}
	return m.TotalAvailableResults
}

func (r *reading) images(ctx context.Context) error {
	images, err := readList(ctx, r.door, listing[content.Image]{
		part: site.PartImages,
		id:   func(i content.Image) string { return deref(i.ExtId) },
		fetch: sdkPage(r.door, func(w *worker, number, limit *int) (page[content.Image], error) {
			a, err := w.images.ListImages(number, limit, nil, nil, nil)
			if err != nil {
				return page[content.Image]{}, err
			}
			return pageOf[content.Image](a.GetData(), vmmTotal(a.Metadata))
		}),
	})
	for _, i := range images {
		r.found.Images = append(r.found.Images, site.Image{
			ExtID: deref(i.ExtId), Name: deref(i.Name), Created: deref(i.CreateTime), SizeBytes: deref(i.SizeBytes),
			Elements: i.ClusterLocationExtIds,
		})
	}
	return err
}

func (r *reading) categories(ctx context.Context) error {
	categories, err := readList(ctx, r.door, listing[config.Category]{
		part: site.PartCategories,
		id:   func(c config.Category) string { return deref(c.ExtId) },
		fetch: sdkPage(r.door, func(w *worker, number, limit *int) (page[config.Category], error) {
			a, err := w.categories.ListCategories(number, limit, nil, nil, nil, nil)
			if err != nil {
				return page[config.Category]{}, err
			}
			return pageOf[config.Category](a.GetData(), centralTotal(a.Metadata))
		}),
	})
	for _, c := range categories {
		r.found.Categories = append(r.found.Categories, site.Category{ExtID: deref(c.ExtId), Key: deref(c.Key), Value: deref(c.Value)})
	}
	return err
}

// named is what the v3 API says where each object has a name and an identifier.
type named struct {
	Spec struct {
		Name string `json:"name"`
	} `json:"spec"`
	Status struct {
		Name string `json:"name"`
	} `json:"status"`
	Metadata struct {
		UUID string `json:"uuid"`
	} `json:"metadata"`
}

// projects have no v4 API.
func (r *reading) projects(ctx context.Context) error {
	projects, err := readList(ctx, r.door, listing[named]{
		part: site.PartProjects,
		id:   func(n named) string { return n.Metadata.UUID },
		fetch: func(ctx context.Context, number int) (page[named], error) {
			var answer struct {
				Entities []named `json:"entities"`
				Metadata struct {
					Total *int `json:"total_matches"`
				} `json:"metadata"`
			}
			err := r.door.plain(ctx, http.MethodPost, "/api/nutanix/v3/projects/list", map[string]any{
				"kind": "project", "length": pageSize, "offset": number * pageSize,
			}, &answer)
			return page[named]{items: answer.Entities, total: answer.Metadata.Total, missing: answer.Entities == nil}, err
		},
	})
	for _, p := range projects {
		name := p.Spec.Name
		if name == "" {
			name = p.Status.Name
		}
		r.found.Projects = append(r.found.Projects, site.Project{ExtID: p.Metadata.UUID, Name: name})
	}
	return err
}
