package prism

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"

	managers "github.com/nutanix/ntnx-api-golang-clients/prism-go-client/v4/models/prism/v4/config"
)

const (
	// wantMajor and wantMinor are the API that the SDKs are made for. They send v4.2 paths to any server.
	wantMajor, wantMinor = 4, 2
	// wantCentral is the first Prism Central that has it.
	wantCentral = "7.5"
)

// apiVersion is how Prism Central tells its API, such as v4.2 or v4.1.b2.
var apiVersion = regexp.MustCompile(`^v(\d+)\.(\d+)(\.[ab]\d+)?$`)

// Prove finds out whether the credentials are good and the version is supported. The version is Prism Central's, such
// as "7.5"; it is empty when everything is good but the user is not shown it. An error is an [*Error].
func (d *Door) Prove(ctx context.Context) (version string, err error) {
	// CAPX logs in here, too.
	if err = d.plain(ctx, http.MethodGet, "/api/nutanix/v3/users/me", nil, nil); err != nil {
		return "", err
	}
	if err = d.proveAPI(ctx); err != nil {
		return "", err
	}
	version, err = d.version(ctx)
	switch reasonOf(err) {
	case Forbidden, NotFound, Misbehaving:
		// What had to be proved is; a role may hide the rest.
		return "", nil
	default:
		return version, err
	}
}

func (d *Door) proveAPI(ctx context.Context) error {
	var info struct {
		Data string `json:"data"`
	}
	err := d.plain(ctx, http.MethodOptions, "/api/prism/unversioned/info", nil, &info)
	if refusedWith(err, http.StatusNotFound) || refusedWith(err, http.StatusMethodNotAllowed) {
		return d.tooOld("has no v4 API")
	}
	if err != nil {
		return err
	}
	parts := apiVersion.FindStringSubmatch(info.Data)
	if parts == nil {
		return &Error{
			Reason: Misbehaving,
			Message: fmt.Sprintf("Prism Central %s does not tell the version of its API: look whether it is a Prism Central of version %s or newer",
				d.gate.name, wantCentral),
		}
	}
	major, majorErr := strconv.Atoi(parts[1])
	minor, minorErr := strconv.Atoi(parts[2])
	if majorErr != nil || minorErr != nil || major < wantMajor ||
		major == wantMajor && (minor < wantMinor || minor == wantMinor && parts[3] != "") {
		return d.tooOld("speaks API " + info.Data)
	}
	return nil
}

func (d *Door) tooOld(what string) error {
	return &Error{
		Reason: TooOld,
		Message: fmt.Sprintf("Prism Central %s %s and is too old: Refract needs API v%d.%d, which comes with Prism Central %s; upgrade it",
			d.gate.name, what, wantMajor, wantMinor, wantCentral),
	}
}

// version reads Prism Central's own.
func (d *Door) version(ctx context.Context) (string, error) {
	return ask(ctx, d, func(w *worker) (string, error) {
		r, err := w.managers.ListDomainManagers(nil)
		if err != nil {
			return "", err
		}
		all, _ := r.GetData().([]managers.DomainManager)
		for _, m := range all {
			if m.Config != nil && m.Config.BuildInfo != nil && m.Config.BuildInfo.Version != nil {
				return *m.Config.BuildInfo.Version, nil
			}
		}
		return "", errors.New("no version of Prism Central in it")
	})
}
