// Package api tests what the API server makes of Refract's CRDs, admission policies and roles: no controller runs.
package api

import (
	"context"
	"fmt"
	"os"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/test/world"
)

// The world of this package, and an administrator's client to it.
var (
	here  *world.World
	admin client.Client
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	here, err = world.Start(context.Background(), world.Options{
		Out:          os.Stderr,
		ProviderCRDs: true, // the deletion policy guards Clusters
		CRDDirs:      []string{"../../config/crd/bases"},
		Manifests: []string{
			"../../config/policy/approval.yaml",
			"../../config/policy/deletion.yaml",
			"../../config/rbac/admin_role.yaml",
			"../../config/rbac/approver_role.yaml",
			"../../config/rbac/editor_role.yaml",
		},
	})
	if err != nil {
		return 1, err
	}
	defer func() {
		if stopped := here.Stop(); err == nil {
			err = stopped
		}
	}()
	if admin, err = client.New(here.REST, client.Options{}); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// remove deletes an object when the test is over.
func remove(t *testing.T, o client.Object) {
	t.Helper()
	gone := o.DeepCopyObject().(client.Object)
	t.Cleanup(func() {
		if err := client.IgnoreNotFound(admin.Delete(context.Background(), gone)); err != nil {
			t.Error(err)
		}
	})
}

// as connects as a user without the rights of an administrator.
func as(t *testing.T, user string) client.Client {
	t.Helper()
	config, err := here.User(user)
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
