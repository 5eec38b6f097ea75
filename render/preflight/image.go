package preflight

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"github.com/refract-dev/refract/render/site"
)

// image checks that one image is meant, and that its name tells no other version of Kubernetes.
func (c *checks) image(g group) {
	field := g.imageField()
	if g.spec.Image.IsZero() && g.spec.LookupBaseOS == "" {
		c.failed(CheckImage, field, "no image is named: name one")
		return
	}
	if !c.knows(site.PartImages, CheckImage, Existence, field) {
		return
	}
	found, message := c.images(g)
	if message != "" {
		c.failed(CheckImage, field, message)
		return
	}
	if told, wanted := versions(found.Name), versions(g.version); len(wanted) > 0 && len(told) > 0 && !slices.Contains(told, wanted[0]) {
		c.failed(CheckImage, field, fmt.Sprintf("image %q is made for Kubernetes v%s by its name, but machines of %s use it: name an image of that version, or change the Kubernetes layer",
			found.Name, strings.Join(told, ", v"), g.version))
	}
}

// imageOn checks that a Prism Element has the image.
func (c *checks) imageOn(g group, e site.Element) {
	if !c.Site.Knows(site.PartImages) {
		return
	}
	found, message := c.images(g)
	if message != "" || len(found.Elements) == 0 || slices.Contains(found.Elements, e.ExtID) {
		return
	}
	c.failed(CheckImage, g.imageField(), fmt.Sprintf("image %q is not on Prism Element %s, but on %s: place it there, too",
		found.Name, e.Name, c.elementNames(found.Elements)))
}

// images finds the image as CAPX does, or says why there is none.
func (c *checks) images(g group) (site.Image, string) {
	if !g.spec.Image.IsZero() {
		found := c.Site.FindImages(g.spec.Image)
		if len(found) == 1 {
			return found[0], ""
		}
		var names []string
		for _, m := range c.Site.Images {
			names = append(names, m.Name)
		}
		return site.Image{}, count("image", g.spec.Image, "in Prism Central", len(found), names)
	}
	pattern, err := lookup(g)
	if err != nil {
		return site.Image{}, fmt.Sprintf("imageLookup.format %q cannot be used: %v", g.spec.LookupFormat, err)
	}
	var found []site.Image
	for _, m := range c.Site.Images {
		if pattern.MatchString(m.Name) {
			found = append(found, m)
		}
	}
	if len(found) == 0 {
		return site.Image{}, fmt.Sprintf("no image in Prism Central has a name that matches %s: upload one for Kubernetes %s, or correct format or baseOS",
			pattern, g.version)
	}
	return slices.MaxFunc(found, func(a, b site.Image) int {
		return cmp.Or(a.Created.Compare(b.Created), -strings.Compare(a.ExtID, b.ExtID))
	}), ""
}

// defaultLookup is CAPX's default for imageLookup.format.
const defaultLookup = "capx-{{.BaseOS}}-{{.K8sVersion}}-*"

// lookup is the expression that names of images have to match: a template first, like in CAPX, then a regular
// expression, which matches anywhere in a name.
func lookup(g group) (*regexp.Regexp, error) {
	t, err := template.New("format").Parse(or(g.spec.LookupFormat, defaultLookup))
	if err != nil {
		return nil, fmt.Errorf("it is no template: %w", err)
	}
	var out strings.Builder
	values := map[string]string{"BaseOS": g.spec.LookupBaseOS, "K8sVersion": strings.Replace(g.version, "v", "", 1)}
	if err = t.Option("missingkey=error").Execute(&out, values); err != nil {
		return nil, fmt.Errorf("it knows BaseOS and K8sVersion only: %w", err)
	}
	pattern, err := regexp.Compile(out.String())
	if err != nil {
		return nil, fmt.Errorf("%q is no regular expression: %w", out.String(), err)
	}
	return pattern, nil
}

// kubernetesVersion in the name of an image: 1, a minor version of two digits and a patch version.
var kubernetesVersion = regexp.MustCompile(`(?:^|[^0-9.])v?(1\.[0-9]{2}\.[0-9]+)(?:$|[^0-9.]|\.[^0-9])`)

// versions are the versions of Kubernetes that a name tells, without v.
func versions(name string) []string {
	var out []string
	for _, m := range kubernetesVersion.FindAllStringSubmatch(name, -1) {
		out = append(out, m[1])
	}
	return out
}
