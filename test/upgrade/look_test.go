package upgrade

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// thing is one object as others see it.
type thing struct {
	UID types.UID
	// Content is all but metadata and status, with what of the metadata says whose the object is.
	Content string
}

// picture is what a namespace holds.
type picture struct {
	// Things by kind and name.
	Things map[string]thing
	// Made counts the Machines that were ever made, so that none comes and goes unseen.
	Made int
}

// passing objects come and go by themselves.
var passing = []string{"Event", "Lease", "EndpointSlice", "Endpoints"}

// picture lists every kind of object that the namespace may hold.
func (l *life) picture() picture {
	l.T.Helper()
	kinds, err := discovery.NewDiscoveryClientForConfig(l.World.REST)
	if err != nil {
		l.T.Fatal(err)
	}
	objects, err := dynamic.NewForConfig(l.World.REST)
	if err != nil {
		l.T.Fatal(err)
	}
	lists, err := kinds.ServerPreferredNamespacedResources()
	if err != nil {
		l.T.Fatal(err)
	}
	all := picture{Things: map[string]thing{}, Made: l.made()}
	for _, list := range lists {
		group, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			l.T.Fatal(err)
		}
		for i := range list.APIResources {
			r := &list.APIResources[i]
			if !slices.Contains(r.Verbs, "list") || slices.Contains(passing, r.Kind) {
				continue
			}
			found, err := objects.Resource(group.WithResource(r.Name)).Namespace(l.Namespace).List(l.T.Context(), metav1.ListOptions{})
			if err != nil {
				l.T.Fatalf("listing %s: %v", r.Name, err)
			}
			for j := range found.Items {
				all.Things[group.Group+"/"+r.Kind+" "+found.Items[j].GetName()] = l.thing(&found.Items[j])
			}
		}
	}
	return all
}

func (l *life) thing(o *unstructured.Unstructured) thing {
	l.T.Helper()
	content := map[string]any{"labels": o.GetLabels(), "finalizers": o.GetFinalizers(), "owners": o.GetOwnerReferences()}
	for field, value := range o.Object {
		if field != "metadata" && field != "status" {
			content[field] = value
		}
	}
	text, err := json.Marshal(content)
	if err != nil {
		l.T.Fatal(err)
	}
	return thing{o.GetUID(), string(text)}
}

// kept fails for every object that is gone or was made anew since, and for every machine that was made.
func (l *life) kept(was picture) {
	l.T.Helper()
	is := l.picture()
	for name, before := range was.Things {
		if now, ok := is.Things[name]; !ok || now.UID != before.UID {
			l.T.Errorf("%s is gone or was made anew: UID %s, now %q", name, before.UID, now.UID)
		}
	}
	for name := range is.Things {
		if _, ok := was.Things[name]; !ok {
			l.T.Log("new: ", name)
		}
	}
	if is.Made != was.Made {
		l.T.Errorf("%d Machines were made", is.Made-was.Made)
	}
}

// same fails for what says something else than before. ours says whether to look at Refract's own objects, too.
func (l *life) same(was picture, ours bool) {
	l.T.Helper()
	is := l.picture()
	for name, before := range was.Things {
		group, _, _ := strings.Cut(name, "/")
		if now := is.Things[name].Content; (ours || fromCAPI(group)) && now != before.Content {
			l.T.Errorf("%s was\n%s and is\n%s", name, before.Content, now)
		}
	}
}

// fromCAPI says whether a group is one of Cluster API's or its providers'.
func fromCAPI(group string) bool { return strings.HasSuffix(group, "cluster.x-k8s.io") }

// looks has the operator compare the cluster anew some times.
func (l *life) looks(n int) {
	l.T.Helper()
	for i := range n {
		c := l.Cluster(cluster)
		at := fmt.Sprintf("%s-%s-%d", l.T.Name(), c.ResourceVersion, i)
		patch := fmt.Appendf(nil, `{"metadata":{"annotations":{"reconcile.fluxcd.io/requestedAt":%q}}}`, at)
		if err := l.Client.Patch(l.T.Context(), c, client.RawPatch(types.MergePatchType, patch)); err != nil {
			l.T.Fatal(err)
		}
		l.Within(patience, "another look", func() error {
			if have := l.Cluster(cluster).Status; have.LastHandledReconcileAt != at {
				return fmt.Errorf("%+v", have.Conditions)
			}
			return nil
		})
	}
}

// request is one line of the API server's audit log.
type request struct {
	Verb, RequestURI string
	User             struct{ Username string }
	ObjectRef        struct{ APIGroup, Resource, Subresource, Namespace string }
	ResponseStatus   struct{ Code int }
}

// requests are those about this namespace that changed something.
func (l *life) requests() []request {
	l.T.Helper()
	file, err := os.Open(l.World.AuditLog())
	if err != nil {
		l.T.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // read only
	var found []request
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		r := request{}
		if json.Unmarshal(lines.Bytes(), &r) != nil {
			continue // the last line, half written
		}
		reads := slices.Contains([]string{"get", "list", "watch"}, r.Verb)
		if r.ObjectRef.Namespace == l.Namespace && !reads && !strings.Contains(r.RequestURI, "dryRun=") {
			found = append(found, r)
		}
	}
	if err := lines.Err(); err != nil {
		l.T.Fatal(err)
	}
	return found
}

// made counts the Machines that were ever made.
func (l *life) made() int {
	l.T.Helper()
	n := 0
	for _, r := range l.requests() {
		if r.ObjectRef.Resource == "machines" && r.ObjectRef.Subresource == "" && r.ResponseStatus.Code == http.StatusCreated {
			n++
		}
	}
	return n
}

// writes are the operator's requests so far that wrote objects of Cluster API.
func (l *life) writes() (found []string) {
	l.T.Helper()
	for _, r := range l.requests() {
		if strings.HasPrefix(r.User.Username, "system:serviceaccount:"+l.site.release.Namespace+":") && fromCAPI(r.ObjectRef.APIGroup) {
			found = append(found, r.Verb+" "+r.RequestURI)
		}
	}
	return found
}

// settled fails if the operator goes on writing although nothing differs.
func (l *life) settled() {
	l.T.Helper()
	l.looks(1)
	before := l.writes()
	if len(before) == 0 {
		l.T.Error("the audit log holds no write of the operator at all: it is not read right")
	}
	l.looks(2)
	if after := l.writes(); len(after) > len(before) {
		l.T.Errorf("nothing differs, and it wrote %v", after[len(before):])
	}
	if err := l.waitsForNobody(); err != nil {
		l.T.Error(err)
	}
}

// waitsForNobody fails while a plan is shown.
func (l *life) waitsForNobody() error {
	if p := l.Cluster(cluster).Status.Plan; p.Digest != "" || (p.Severity != "" && p.Severity != v1alpha1.SeverityNone) {
		return fmt.Errorf("plan %+v", p)
	}
	return nil
}
