package main

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// entry is a file of the image, or a directory if its name ends in a slash. All of them belong to root, so that the
// program cannot change them.
type entry struct {
	name    string
	mode    int64
	content []byte
}

// baseFiles are the same for every platform. /tmp is there to mount something on; the program writes nowhere.
func baseFiles() ([]entry, error) {
	certificates, err := roots()
	if err != nil {
		return nil, err
	}
	return []entry{
		{name: "etc/", mode: 0o755},
		{name: "etc/group", mode: 0o644, content: []byte("root:x:0:\nnonroot:x:65532:\n")},
		{name: "etc/passwd", mode: 0o644, content: []byte("root:x:0:0:root:/:/nologin\nnonroot:x:65532:65532:nonroot:/:/nologin\n")},
		{name: "etc/ssl/", mode: 0o755},
		{name: "etc/ssl/certs/", mode: 0o755},
		{name: "etc/ssl/certs/ca-certificates.crt", mode: 0o644, content: certificates},
		{name: "tmp/", mode: 0o1777},
	}, nil
}

// programFiles are the program and the terms of its use.
func programFiles(from source, p program) ([]entry, error) {
	binary, err := p.read()
	if err != nil {
		return nil, err
	}
	terms, err := os.ReadFile(filepath.Join(from.dir, "LICENSE"))
	if err != nil {
		return nil, err
	}
	return []entry{
		{name: "licenses/", mode: 0o755},
		{name: "licenses/LICENSE", mode: 0o644, content: terms},
		{name: "licenses/third-party.txt", mode: 0o644, content: licenseText(p.licenses)},
		{name: "refract", mode: 0o755, content: binary},
	}, nil
}

// layer packs entries. Only names, modes, contents and the one date of the image get into it.
func layer(entries []entry, date time.Time) (v1.Layer, error) {
	var packed bytes.Buffer
	w := tar.NewWriter(&packed)
	for _, e := range entries {
		header := &tar.Header{
			Format: tar.FormatPAX, Typeflag: tar.TypeReg, Name: e.name, Mode: e.mode, Size: int64(len(e.content)), ModTime: date,
		}
		if e.name[len(e.name)-1] == '/' {
			header.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(e.content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed.Bytes())), nil }
	return tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching)
}
