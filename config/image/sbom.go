package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"runtime/debug"
	"time"

	"github.com/CycloneDX/cyclonedx-go"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// bill lists what is in one platform's image, as CycloneDX: the program's modules as the linker recorded them, Go's
// standard library, and the CA roots. It holds no random serial number, so that it is the same for the same image.
func bill(from source, p v1.Platform, made program) ([]byte, error) {
	binary, err := made.read()
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(binary)
	of := map[string][]string{}
	for _, l := range made.licenses {
		of[l.module] = l.ids
	}
	main := component(cyclonedx.ComponentTypeApplication, made.info.Main.Path, from.version)
	main.PackageURL += "?goos=" + p.OS + "&goarch=" + p.Architecture
	main.Hashes = &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: hex.EncodeToString(sum[:])}}
	main.Licenses = licenseChoices([]string{ourLicense})

	std := component(cyclonedx.ComponentTypeLibrary, "std", made.goVersion())
	std.Licenses = licenseChoices(of["std"])
	components := []cyclonedx.Component{std}
	for _, m := range modules(made.info) {
		c := component(cyclonedx.ComponentTypeLibrary, m.Path, m.Version)
		c.Licenses = licenseChoices(of[m.Path+"@"+m.Version])
		c.Properties = &[]cyclonedx.Property{{Name: "go:sum", Value: m.Sum}}
		components = append(components, c)
	}
	certificates, err := rootsComponent()
	if err != nil {
		return nil, err
	}
	var refs []string
	for _, c := range components {
		refs = append(refs, c.BOMRef)
	}
	components = append(components, certificates)

	list := cyclonedx.NewBOM()
	list.Metadata = &cyclonedx.Metadata{Timestamp: from.date.Format(time.RFC3339), Component: &main}
	list.Components = &components
	list.Dependencies = &[]cyclonedx.Dependency{{Ref: main.BOMRef, Dependencies: &refs}}
	var out bytes.Buffer
	err = cyclonedx.NewBOMEncoder(&out, cyclonedx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(list, cyclonedx.SpecVersion1_6)
	return out.Bytes(), err
}

func component(kind cyclonedx.ComponentType, module, version string) cyclonedx.Component {
	purl := "pkg:golang/" + module + "@" + url.PathEscape(version)
	return cyclonedx.Component{BOMRef: purl, Type: kind, Name: module, Version: version, PackageURL: purl}
}

func licenseChoices(ids []string) *cyclonedx.Licenses {
	var choices cyclonedx.Licenses
	for _, id := range ids {
		choices = append(choices, cyclonedx.LicenseChoice{License: &cyclonedx.License{ID: id}})
	}
	if choices == nil {
		return nil
	}
	return &choices
}

// rootsComponent names the CA roots by the version of the module that this program has them from.
func rootsComponent() (cyclonedx.Component, error) {
	info, _ := debug.ReadBuildInfo()
	for _, m := range modules(info) {
		if m.Path == rootsModule {
			c := component(cyclonedx.ComponentTypeData, m.Path, m.Version)
			c.Description = "Mozilla's roots for TLS servers, in /etc/ssl/certs/ca-certificates.crt"
			c.Licenses = licenseChoices([]string{"MPL-2.0"})
			return c, nil
		}
	}
	return cyclonedx.Component{}, fmt.Errorf("this program does not know its version of %s", rootsModule)
}
