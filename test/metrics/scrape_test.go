package metrics

import (
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"strconv"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refract-dev/refract/test/drift/hand"
)

// scraper reads the endpoint as a service account.
type scraper struct {
	s     *hand.Scene
	token string
}

// newScraper makes a service account, and lets it read metrics if it may.
func newScraper(s *hand.Scene, name string, may bool) scraper {
	s.T.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: name}}
	s.Create(account)
	if may {
		s.Create(&rbacv1.ClusterRole{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Rules:      []rbacv1.PolicyRule{{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}}},
		})
		s.Create(&rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
			Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: s.Namespace, Name: name}},
		})
	}
	request := &authenticationv1.TokenRequest{}
	if err := s.Client.SubResource("token").Create(s.T.Context(), account, request); err != nil {
		s.T.Fatal(err)
	}
	return scraper{s, request.Status.Token}
}

// door trusts whatever certificate there is: nobody signed the operator's.
var door = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}

// get asks for the metrics and returns status and text.
func (p scraper) get() (int, string) {
	p.s.T.Helper()
	request, err := http.NewRequestWithContext(p.s.T.Context(), http.MethodGet, "https://"+address+"/metrics", nil)
	if err != nil {
		p.s.T.Fatal(err)
	}
	if p.token != "" {
		request.Header.Set("Authorization", "Bearer "+p.token)
	}
	response, err := door.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close() //nolint:errcheck // read only
	text, err := io.ReadAll(response.Body)
	if err != nil {
		p.s.T.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// labels to look for; others may be there as well.
type labels map[string]string

// one is a series with its value.
type one struct {
	name   string
	labels labels
	value  float64
}

var (
	line  = regexp.MustCompile(`(?m)^([a-z_]+)(?:\{(.*)\})? ([^ \n]+)$`)
	label = regexp.MustCompile(`([a-z_]+)="((?:[^"\\]|\\.)*)"`)
)

func (p scraper) series() []one {
	p.s.T.Helper()
	status, text := p.get()
	if status != http.StatusOK {
		p.s.T.Fatalf("status %d: %s", status, text)
	}
	var all []one
	for _, m := range line.FindAllStringSubmatch(text, -1) {
		value, err := strconv.ParseFloat(m[3], 64)
		if err != nil {
			p.s.T.Fatalf("%s: %v", m[0], err)
		}
		o := one{m[1], labels{}, value}
		for _, l := range label.FindAllStringSubmatch(m[2], -1) {
			o.labels[l[1]] = l[2]
		}
		all = append(all, o)
	}
	return all
}

// value is the sum of all series of a metric with these labels, and how many there are.
func (p scraper) value(name string, with labels) (sum float64, n int) {
	p.s.T.Helper()
	for _, o := range p.series() {
		if o.name != name {
			continue
		}
		merged := maps.Clone(o.labels)
		maps.Copy(merged, with)
		if maps.Equal(merged, o.labels) {
			sum, n = sum+o.value, n+1
		}
	}
	return sum, n
}

// becomes waits until a metric has a value that is right.
func (p scraper) becomes(what, name string, with labels, right func(float64) bool) {
	p.s.T.Helper()
	p.s.Within(hand.Soon, what, func() error {
		if v, n := p.value(name, with); n == 0 || !right(v) {
			return fmt.Errorf("%s%v is %v, in %d series", name, with, v, n)
		}
		return nil
	})
}

func is(want float64) func(float64) bool      { return func(v float64) bool { return v == want } }
func atLeast(want float64) func(float64) bool { return func(v float64) bool { return v >= want } }

// gone waits until no series has these labels.
func (p scraper) gone(with labels) {
	p.s.T.Helper()
	p.s.Within(hand.Soon, fmt.Sprintf("nothing is left of %v", with), func() error {
		for _, o := range p.series() {
			merged := maps.Clone(o.labels)
			maps.Copy(merged, with)
			if maps.Equal(merged, o.labels) {
				return fmt.Errorf("%s%v", o.name, o.labels)
			}
		}
		return nil
	})
}

// TestAccess shows that only who may reads metrics.
func TestAccess(t *testing.T) {
	s := hand.NewScene(t, &shared, "access")
	may, mayNot := newScraper(s, "reads-metrics", true), newScraper(s, "reads-nothing", false)
	s.Within(hand.Soon, "metrics are served", func() error {
		if status, text := may.get(); status != http.StatusOK {
			return fmt.Errorf("status %d: %s", status, text)
		}
		return nil
	})
	for name, c := range map[string]struct {
		token string
		want  int
	}{"Nobody": {"", http.StatusUnauthorized}, "Forged": {"forged", http.StatusUnauthorized}, "WithoutTheRight": {mayNot.token, http.StatusForbidden}} {
		if status, text := (scraper{s, c.token}).get(); status != c.want || len(text) > 100 {
			t.Errorf("%s: status %d, want %d: %s", name, status, c.want, text)
		}
	}
}
