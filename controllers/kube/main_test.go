package kube_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/refract-dev/refract/controllers/kube"
	"github.com/refract-dev/refract/test/world"
)

// admin is another hand on the API server: field manager "somebody". There are schemas and no controllers, so that
// nothing moves but what a test moves.
var (
	admin  client.Client
	config *rest.Config
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctx := context.Background()
	log.SetLogger(zap.New(zap.WriteTo(io.Discard)))
	w, err := world.Start(ctx, world.Options{Out: os.Stderr, ProviderCRDs: true})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if stopped := w.Stop(); stopped != nil {
			fmt.Fprintln(os.Stderr, stopped)
		}
	}()
	config = w.REST
	plain, err := client.New(w.REST, client.Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	admin = client.WithFieldOwner(plain, "somebody")
	if err := plain.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// cluster is the package under test, on the test's API server.
func cluster(name string) kube.Cluster {
	return kube.Cluster{Client: admin, Reader: admin, Namespace: namespace, Name: name}
}
