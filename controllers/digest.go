package controllers

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// digestOf is "sha256:" and the hexadecimal hash of the parts, each ended so that no two lists of parts share one.
func digestOf(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(p))
		h.Write([]byte{0})
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// shortDigest is what names and labels take of a digest: its first 16 hexadecimal digits.
func shortDigest(digest string) string {
	hexed := strings.TrimPrefix(digest, "sha256:")
	return hexed[:min(16, len(hexed))]
}
