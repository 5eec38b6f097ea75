package controllers

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/prism"
)

// credentials of an account.
type credentials struct {
	account, workload login
	trust             []byte // PEM, empty when Prism Central's certificate needs none
	central           string // host:port
	// version changes when one of the objects changes that they were read from. It tells nothing about their content.
	version string
}

// login of one user.
type login struct{ user, password string }

// file is a login in the form of CAPX's credentials file, which the cloud controller manager reads, too.
func (l login) file() ([]byte, error) {
	return json.Marshal([]any{map[string]any{
		"type": "basic_auth",
		"data": map[string]any{"prismCentral": map[string]any{"username": l.user, "password": l.password}, "prismElements": nil},
	}})
}

func (c credentials) access(a *v1alpha1.CloudAccount) access {
	e := access{Endpoint: prism.Endpoint{
		Address: a.Spec.Endpoint.Address, Port: port(a), Username: c.account.user, Password: c.account.password,
		TrustBundle: c.trust, Insecure: a.Spec.Insecure,
	}}
	if c.workload != c.account {
		e.workload = &c.workload
	}
	return e
}

// token stands for what is proved: where Prism Central is and who enters it. It never leaves this process.
func (c credentials) token(a *v1alpha1.CloudAccount) string {
	return digestOf(c.central, c.account.user, c.account.password, c.workload.user, c.workload.password, string(c.trust), strconv.FormatBool(a.Spec.Insecure))
}

func port(a *v1alpha1.CloudAccount) int32 { return cmp.Or(a.Spec.Endpoint.Port, 9440) }

func (r *AccountReconciler) credentials(ctx context.Context, a *v1alpha1.CloudAccount) (credentials, error) {
	creds := credentials{central: net.JoinHostPort(a.Spec.Endpoint.Address, strconv.Itoa(int(port(a))))}
	versions := make([]string, 3)
	var err error
	if creds.account, versions[0], err = r.login(ctx, a, "spec.credentialsRef", a.Spec.CredentialsRef.Name); err != nil {
		return creds, err
	}
	creds.workload = creds.account
	if ref := a.Spec.WorkloadCredentialsRef; ref != nil {
		if creds.workload, versions[1], err = r.login(ctx, a, "spec.workloadCredentialsRef", ref.Name); err != nil {
			return creds, err
		}
	}
	creds.trust, versions[2], err = r.trust(ctx, a)
	creds.version = shortDigest(digestOf(versions...))
	return creds, err
}

// login reads a user and password, and the version of the Secret that they are in.
func (r *AccountReconciler) login(ctx context.Context, a *v1alpha1.CloudAccount, field, name string) (login, string, error) {
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: a.Namespace, Name: name}
	if err := r.Reader.Get(ctx, key, secret); err != nil {
		if apierrors.IsNotFound(err) {
			return login{}, "", stall(v1alpha1.SecretNotFoundReason, "%s: Secret %s does not exist; create it with the keys username and password", field, key)
		}
		return login{}, "", fmt.Errorf("reading Secret %s: %w", key, err)
	}
	l := login{user: string(secret.Data["username"]), password: string(secret.Data["password"])}
	if l.user == "" || l.password == "" {
		return login{}, "", stall(v1alpha1.SecretNotFoundReason, "%s: Secret %s lacks the key username or password, or it is empty", field, key)
	}
	return l, versionOf(secret), nil
}

func versionOf(o client.Object) string { return string(o.GetUID()) + "/" + o.GetResourceVersion() }

// trust reads the certificate authorities of Prism Central, and the version of the object that they are in.
func (r *AccountReconciler) trust(ctx context.Context, a *v1alpha1.CloudAccount) ([]byte, string, error) {
	ref := a.Spec.TrustBundleRef
	if ref == nil {
		return nil, "", nil
	}
	key := client.ObjectKey{Namespace: a.Namespace, Name: ref.Name}
	var pem []byte
	var err error
	version := ""
	if ref.Kind == "Secret" {
		secret := &corev1.Secret{}
		err = r.Reader.Get(ctx, key, secret)
		pem, version = secret.Data["ca.crt"], versionOf(secret)
	} else {
		bundle := &corev1.ConfigMap{}
		err = r.Reader.Get(ctx, key, bundle)
		version = versionOf(bundle)
		if pem = bundle.BinaryData["ca.crt"]; len(pem) == 0 {
			pem = []byte(bundle.Data["ca.crt"])
		}
	}
	if apierrors.IsNotFound(err) || (err == nil && len(pem) == 0) {
		return nil, "", stall(v1alpha1.SecretNotFoundReason, "spec.trustBundleRef: %s %s with the key ca.crt does not exist; create it, or remove the reference if Prism Central's certificate is signed by a public authority", ref.Kind, key)
	}
	if err != nil {
		return nil, "", fmt.Errorf("reading %s %s: %w", ref.Kind, key, err)
	}
	return pem, version, nil
}
