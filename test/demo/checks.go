package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// fleet reads the Fleet.
func (d *demo) fleet(ctx context.Context) (*v1alpha1.Fleet, error) {
	f := &v1alpha1.Fleet{}
	return f, d.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: fleetName}, f)
}

// clusters reads the clusters whose names begin with prefix.
func (d *demo) clusters(ctx context.Context, prefix string) ([]v1alpha1.NutanixClusterSpec, error) {
	list := &v1alpha1.NutanixClusterSpecList{}
	if err := d.client.List(ctx, list, client.InNamespace(namespace)); err != nil {
		return nil, err
	}
	var found []v1alpha1.NutanixClusterSpec
	for _, c := range list.Items {
		if strings.HasPrefix(c.Name, prefix) {
			found = append(found, c)
		}
	}
	return found, nil
}

// phases tells the phase of each cluster whose name begins with prefix.
func (d *demo) phases(ctx context.Context, prefix string) ([]string, error) {
	clusters, err := d.clusters(ctx, prefix)
	var phases []string
	for _, c := range clusters {
		if c.Status.Phase != "" {
			phases = append(phases, c.Name+" "+string(c.Status.Phase))
		}
	}
	return phases, err
}

// conditioned is an object with conditions and a generation.
type conditioned interface {
	GetConditions() []metav1.Condition
	GetGeneration() int64
}

// has returns nil if a condition has this status for the object's current generation.
func has(o conditioned, condition string, status metav1.ConditionStatus) error {
	have := meta.FindStatusCondition(o.GetConditions(), condition)
	switch {
	case have == nil:
		return fmt.Errorf("it has no condition %s", condition)
	case have.Status != status || have.ObservedGeneration != o.GetGeneration():
		return fmt.Errorf("%s is %s (%s): %s", condition, have.Status, have.Reason, have.Message)
	}
	return nil
}

// readiness is what a Fleet says about itself.
func readiness(f *v1alpha1.Fleet) string {
	if c := meta.FindStatusCondition(f.Status.Conditions, v1alpha1.ReadyCondition); c != nil {
		return c.Message
	}
	return "nothing yet"
}

// accepted is a check that the Fleet has taken on a commit whole.
func (d *demo) accepted(head string) func(context.Context) error {
	return func(ctx context.Context) error {
		f, err := d.fleet(ctx)
		if err != nil {
			return err
		}
		if !strings.HasSuffix(f.Status.LastAppliedRevision, head) {
			return fmt.Errorf("the Fleet is at %q, want %s; it says: %s", f.Status.LastAppliedRevision, head, readiness(f))
		}
		return has(f, v1alpha1.ReadyCondition, metav1.ConditionTrue)
	}
}

// allReady is a check that these clusters, and no others with the prefix, exist and are Ready.
func (d *demo) allReady(prefix string, count int) func(context.Context) error {
	return func(ctx context.Context) error {
		clusters, err := d.clusters(ctx, prefix)
		if err != nil {
			return err
		}
		if len(clusters) != count {
			return fmt.Errorf("there are %d clusters, want %d", len(clusters), count)
		}
		for i := range clusters {
			if err := has(&clusters[i], v1alpha1.ReadyCondition, metav1.ConditionTrue); err != nil {
				return fmt.Errorf("cluster %s: %w", clusters[i].Name, err)
			}
		}
		return nil
	}
}

// both is a check that two checks pass.
func both(a, b func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := a(ctx); err != nil {
			return err
		}
		return b(ctx)
	}
}

// held is a check that the Fleet awaits the approval to delete a cluster; the digest goes to digest.
func (d *demo) held(cluster string, digest *string) func(context.Context) error {
	return func(ctx context.Context) error {
		f, err := d.fleet(ctx)
		if err != nil {
			return err
		}
		c := &v1alpha1.NutanixClusterSpec{}
		if err := d.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: cluster}, c); err != nil {
			return err
		}
		if f.Status.Plan.Digest == "" || f.Status.Plan.Severity != v1alpha1.SeverityDestroy {
			return fmt.Errorf("the Fleet holds no deletion; it says: %s", readiness(f))
		}
		if f.Status.Clusters.Held != 1 {
			return fmt.Errorf("the Fleet counts %d held clusters, want 1", f.Status.Clusters.Held)
		}
		*digest = f.Status.Plan.Digest
		return has(c, v1alpha1.SourceAcceptedCondition, metav1.ConditionFalse)
	}
}

// answers is a check that the answer to a command has some text in it.
func (d *demo) answers(command, text string) func(context.Context) error {
	return func(ctx context.Context) error {
		out, err := d.run(ctx, command)
		if err == nil && !strings.Contains(out, text) {
			err = fmt.Errorf("the answer is\n%s", out)
		}
		return err
	}
}

// gone is a check that nothing is left of a cluster, neither objects nor virtual machines.
func (d *demo) gone(cluster string) func(context.Context) error {
	return func(ctx context.Context) error {
		if left := rowsOf(d.world.Prism.Server.VMs(), cluster+"-"); len(left) > 0 {
			return fmt.Errorf("%d virtual machines are left", len(left))
		}
		capi := &unstructured.Unstructured{}
		capi.SetAPIVersion("cluster.x-k8s.io/v1beta2")
		capi.SetKind("Cluster")
		for _, o := range []client.Object{&v1alpha1.NutanixClusterSpec{}, capi} {
			err := d.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: cluster}, o)
			if err == nil {
				return fmt.Errorf("%T is left", o)
			}
			if !apierrors.IsNotFound(err) {
				return err
			}
		}
		secrets := &corev1.SecretList{}
		err := d.client.List(ctx, secrets, client.InNamespace(namespace), client.MatchingLabels{"cluster.x-k8s.io/cluster-name": cluster})
		if err == nil && len(secrets.Items) > 0 {
			err = fmt.Errorf("secret %s is left", secrets.Items[0].Name)
		}
		return err
	}
}

// mistake is a check that the Fleet says what is wrong, where: "<file>:<line>: …" with a word in it.
func (d *demo) mistake(file, word string) func(context.Context) error {
	place := regexp.MustCompile(regexp.QuoteMeta(file) + `:\d+: .*` + regexp.QuoteMeta(word))
	return func(ctx context.Context) error {
		f, err := d.fleet(ctx)
		if err != nil {
			return err
		}
		if err := has(f, v1alpha1.ReadyCondition, metav1.ConditionFalse); err != nil {
			return err
		}
		if !place.MatchString(readiness(f)) {
			return errors.New("the Fleet says: " + readiness(f))
		}
		return nil
	}
}
