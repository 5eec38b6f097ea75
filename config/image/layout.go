package main

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// refName is the annotation by which tools find an image in a layout.
const refName = "org.opencontainers.image.ref.name"

// writeAll writes the layout to dir, the same as a file dir.tar, and the bills of materials beside them. A layout that
// is there already is replaced, anything else is not.
func writeAll(dir string, from source, index v1.ImageIndex, images []platformImage) error {
	if err := makeRoom(dir); err != nil {
		return err
	}
	if err := writeLayout(dir, from, index, images); err != nil {
		return fmt.Errorf("writing the layout: %w", err)
	}
	if err := pack(dir, from.date); err != nil {
		return fmt.Errorf("packing the layout: %w", err)
	}
	for _, i := range images {
		if err := os.WriteFile(billFile(dir, i.platform), i.bill, 0o644); err != nil { //nolint:gosec // for everyone to read
			return err
		}
	}
	return nil
}

func billFile(dir string, p v1.Platform) string {
	return fmt.Sprintf("%s.%s-%s.cdx.json", dir, p.OS, p.Architecture)
}

func makeRoom(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return os.MkdirAll(dir, 0o755) //nolint:gosec // for everyone to read
	}
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, "oci-layout")); err != nil {
		return fmt.Errorf("%s holds something else than an image layout; name another directory", dir)
	}
	return os.RemoveAll(dir)
}

func writeLayout(dir string, from source, index v1.ImageIndex, images []platformImage) error {
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	if err := path.AppendIndex(index, layout.WithAnnotations(map[string]string{refName: from.tag()})); err != nil {
		return err
	}
	for _, i := range images {
		if err := path.AppendImage(i.referrer); err != nil {
			return err
		}
	}
	return nil
}

// pack writes dir as a tar file that is the same for the same layout.
func pack(dir string, date time.Time) error {
	file, err := os.Create(dir + ".tar") //nolint:gosec // where the user said
	if err != nil {
		return err
	}
	w := tar.NewWriter(file)
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		return packOne(w, dir, path, d, date)
	})
	return errors.Join(err, w.Close(), file.Close())
}

func packOne(w *tar.Writer, dir, path string, d fs.DirEntry, date time.Time) error {
	name := filepath.ToSlash(strings.TrimPrefix(path, dir+string(filepath.Separator)))
	if d.IsDir() {
		return w.WriteHeader(&tar.Header{Format: tar.FormatPAX, Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755, ModTime: date})
	}
	info, err := d.Info()
	if err != nil {
		return err
	}
	header := &tar.Header{Format: tar.FormatPAX, Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: info.Size(), ModTime: date}
	if err = w.WriteHeader(header); err != nil {
		return err
	}
	file, err := os.Open(path) //nolint:gosec // what this program has just written
	if err != nil {
		return err
	}
	_, err = io.Copy(w, file)
	return errors.Join(err, file.Close())
}
