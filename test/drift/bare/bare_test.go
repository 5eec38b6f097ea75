// Package bare shows what the operator does on a management cluster that is not one yet.
package bare

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers"
	"github.com/refract-dev/refract/test/controlplane"
	"github.com/refract-dev/refract/test/drift/hand"
	"github.com/refract-dev/refract/test/rig"
	"github.com/refract-dev/refract/test/world"
)

var shared rig.Package

func TestMain(m *testing.M) {
	os.Exit(rig.Run(m, &shared, world.Options{AuditPolicy: true, Manifests: hand.Policies()}, controllers.Options{}))
}
