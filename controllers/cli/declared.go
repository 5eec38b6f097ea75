package cli

import (
	"fmt"
	"io"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refract-dev/refract/controllers/flow"
	"github.com/refract-dev/refract/render"
	"github.com/refract-dev/refract/render/build"
	"github.com/refract-dev/refract/render/fleet"
)

// defaultNamespace is where objects go when neither the files nor a flag say so, as with kubectl.
const defaultNamespace = "default"

// declared is what PATH declares. Its mistakes are sorted by place.
type declared struct {
	fleet.Fleet
	// path as it was typed.
	path string
	// namespace that a flag asked for; empty: what the files say.
	namespace string
}

// readFleet decodes PATH. Mistakes are in the result; an error says that PATH could not be read at all.
func readFleet(name, namespace string) (declared, error) {
	c, err := openCheckout(name)
	if err != nil {
		return declared{}, err
	}
	defer c.close()
	decoded, _ := fleet.Decode(c.files, c.dir, fleet.Options{Namespace: namespace}) // its error joins decoded.Errors
	return declared{Fleet: decoded, path: name, namespace: namespace}, nil
}

// inputs of a usable cluster, in the namespace that its objects go to.
func (d declared) inputs(c fleet.Cluster) render.Inputs {
	in := render.FromFleet(c)
	in.Cluster = in.Cluster.DeepCopy()
	in.Cluster.Namespace = d.namespaceOf(c)
	return in
}

func (d declared) namespaceOf(c fleet.Cluster) string {
	switch {
	case d.namespace != "":
		return d.namespace
	case c.Object.Namespace != "":
		return c.Object.Namespace
	}
	return defaultNamespace
}

// rendered is one cluster's objects as they would be created.
type rendered struct {
	unit    render.Unit
	objects []*unstructured.Unstructured
}

// render renders one usable cluster; mistakes have their place.
func (d declared) render(c fleet.Cluster) (rendered, []*build.Error) {
	unit, err := render.Cluster(d.inputs(c))
	if err != nil {
		return rendered{}, flow.Placed(c, err)
	}
	creating := func(string, string) bool { return true }
	return rendered{unit: unit, objects: unit.Named(nil, creating)}, nil
}

// empty says that nothing of ours was found, which is rather a mistyped path than a fleet.
func (d declared) empty() bool {
	return len(d.Accounts)+len(d.Profiles)+len(d.Clusters)+len(d.Errors) == 0
}

func (d declared) nothing() error {
	return fmt.Errorf("PATH %s declares nothing: no file in it is of refract.dev; name the directory with the fleet's files", d.path)
}

// names of all clusters, for messages.
func (d declared) names() string {
	var names []string
	for _, c := range d.Clusters {
		names = append(names, c.Object.Name)
	}
	if len(names) == 0 {
		return "it declares no cluster"
	}
	return "it declares " + strings.Join(names, ", ")
}

// find a cluster by name.
func (d declared) find(name string) (fleet.Cluster, bool) {
	for _, c := range d.Clusters {
		if c.Object.Name == name {
			return c, true
		}
	}
	return fleet.Cluster{}, false
}

func writeMistakes(w io.Writer, mistakes []*build.Error) error {
	for _, m := range mistakes {
		if _, err := fmt.Fprintln(w, m.Error()); err != nil {
			return err
		}
	}
	return nil
}
