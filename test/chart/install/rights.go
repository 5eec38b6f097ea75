package install

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// ForReviews are the rights that the operator needs for pull requests alone, written as Granted writes them.
func ForReviews() []string { return []string{"create authorization.k8s.io/subjectaccessreviews"} }

// Granted are the rights of the release's roles, each as "verb group/resource".
func (r *Release) Granted(ctx context.Context) (map[string]bool, error) {
	cluster, own := &rbacv1.ClusterRole{}, &rbacv1.Role{}
	if err := errors.Join(
		r.Client.Get(ctx, client.ObjectKey{Name: "refract-manager"}, cluster),
		r.Client.Get(ctx, client.ObjectKey{Namespace: r.Namespace, Name: "refract-leader-election"}, own)); err != nil {
		return nil, err
	}
	all := map[string]bool{}
	for _, rule := range append(cluster.Rules, own.Rules...) {
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					all[verb+" "+group+"/"+resource] = true
				}
			}
		}
		if len(rule.NonResourceURLs) > 0 {
			return nil, fmt.Errorf("the chart grants %q", rule.NonResourceURLs)
		}
	}
	return all, nil
}

// Used reduces the audit log of the release's world, which has to have one, to the rights that its service account used,
// and says which requests it was refused.
func (r *Release) Used() (used map[string]bool, refused []string, err error) {
	file, err := os.Open(r.world.AuditLog())
	if err != nil {
		return nil, nil, err
	}
	defer file.Close() //nolint:errcheck // read only
	used = map[string]bool{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var a asked
		if json.Unmarshal(lines.Bytes(), &a) != nil || a.User.Username != "system:serviceaccount:"+r.Namespace+":refract-manager" {
			continue // another user, or the last line, half written
		}
		if a.refused() {
			refused = append(refused, a.Verb+" "+a.URI)
		}
		for _, right := range a.rights() {
			used[right] = true
		}
	}
	if len(used) == 0 && lines.Err() == nil {
		return nil, nil, errors.New("the audit log holds no request of the operator: it is not read right")
	}
	return used, refused, lines.Err()
}

// asked is one line of the API server's audit log.
type asked struct {
	Verb string `json:"verb"`
	URI  string `json:"requestURI"`
	User struct {
		Username string `json:"username"`
	} `json:"user"`
	As *struct {
		Username string `json:"username"`
	} `json:"impersonatedUser"`
	Object *struct {
		Group       string `json:"apiGroup"`
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
	} `json:"objectRef"`
	Response struct {
		Code int32 `json:"code"`
	} `json:"responseStatus"`
}

// refused says whether the operator lacked a right. What an account that it acts as may do is not the chart's matter, and
// discovery, which has no object, is everybody's.
func (a asked) refused() bool {
	return a.As == nil && a.Object != nil && a.Response.Code == http.StatusForbidden
}

func (a asked) rights() []string {
	if a.As != nil {
		return []string{"impersonate /serviceaccounts"}
	}
	if a.Object == nil {
		return nil
	}
	resource := strings.TrimSuffix(a.Object.Group+"/"+a.Object.Resource+"/"+a.Object.Subresource, "/")
	rights := []string{a.Verb + " " + resource}
	if a.Verb == "patch" && a.Response.Code == http.StatusCreated {
		rights = append(rights, "create "+resource) // an apply that creates needs both
	}
	return rights
}
