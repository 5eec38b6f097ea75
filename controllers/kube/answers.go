package kube

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refract-dev/refract/render/plan"
)

// Answers remembers what dry runs were answered, so that nobody asks the API server twice what applying the same over the
// same would store: not whoever plans and then whoever applies, and not after a write. It is a cache: what it does not
// know costs a dry run. It may be shared by any number of Clusters, and nil remembers nothing.
type Answers struct {
	mu    sync.Mutex
	by    map[plan.Ref]answer
	bytes int // of all stored
}

// answer to the last question about an object.
type answer struct {
	want string // digest of what was to be applied
	// live is the digest of the object's content over which it would change nothing. Status and what others own may
	// change meanwhile.
	live string
	// version is the resource version over which it would change something, "" for an object that does not exist.
	version string
	// stored is what it would then be, as JSON; nil when it would change nothing.
	stored []byte
}

// mostBytes bounds what is remembered of objects that would change: 32 MiB.
const mostBytes = 32 << 20

// recall gives the answer to a question that was asked before, nil when it was not.
func (a *Answers) recall(want, live *unstructured.Unstructured) *unstructured.Unstructured {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	known, ok := a.by[plan.RefOf(want)]
	a.mu.Unlock()
	switch {
	case !ok || known.want != wanted(want):
		return nil
	case known.stored != nil && known.version == versionOf(live):
		o := &unstructured.Unstructured{}
		if o.UnmarshalJSON(known.stored) != nil {
			return nil
		}
		return o
	case known.stored == nil && live != nil && known.live == contentOf(live):
		return live.DeepCopy()
	}
	return nil
}

// learn takes the answer to a question.
func (a *Answers) learn(want, live, stored *unstructured.Unstructured) {
	if a == nil {
		return
	}
	if live != nil && reflect.DeepEqual(content(live), content(stored)) {
		a.keep(plan.RefOf(want), answer{want: wanted(want), live: contentOf(live)})
		return
	}
	text, err := stored.MarshalJSON()
	if err != nil {
		return
	}
	a.keep(plan.RefOf(want), answer{want: wanted(want), version: versionOf(live), stored: text})
}

// applied takes what was written: applying the same again changes nothing.
func (a *Answers) applied(want, now *unstructured.Unstructured) {
	if a != nil {
		a.keep(plan.RefOf(want), answer{want: wanted(want), live: contentOf(now)})
	}
}

// forget drops what is known of an object that goes.
func (a *Answers) forget(r plan.Ref) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.bytes -= len(a.by[r].stored)
	delete(a.by, r)
}

func (a *Answers) keep(r plan.Ref, known answer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.by == nil {
		a.by = map[plan.Ref]answer{}
	}
	a.bytes -= len(a.by[r].stored)
	delete(a.by, r)
	if len(known.stored) > mostBytes {
		return
	}
	a.makeRoom(len(known.stored))
	a.bytes += len(known.stored)
	a.by[r] = known
}

// makeRoom drops answers, whichever come first, until so many bytes fit: they may be about objects that never came.
func (a *Answers) makeRoom(size int) {
	for r, known := range a.by {
		if a.bytes+size <= mostBytes {
			return
		}
		if known.stored != nil {
			a.bytes -= len(known.stored)
			delete(a.by, r)
		}
	}
}

// wanted is a digest of what is to be applied, without what ties it to the object that was looked at.
func wanted(o *unstructured.Unstructured) string {
	meta, ok := o.Object["metadata"].(map[string]any)
	if !ok {
		return digest(o.Object)
	}
	bare := make(map[string]any, len(meta))
	for k, v := range meta {
		if k != "resourceVersion" && k != "uid" {
			bare[k] = v
		}
	}
	all := make(map[string]any, len(o.Object))
	maps.Copy(all, o.Object)
	all["metadata"] = bare
	return digest(all)
}

// contentOf is a digest of what dry runs depend on: which object it is and what it says.
func contentOf(o *unstructured.Unstructured) string {
	said := content(o)
	said["uid"] = string(o.GetUID())
	return digest(said)
}

func versionOf(o *unstructured.Unstructured) string {
	if o == nil {
		return ""
	}
	return string(o.GetUID()) + "/" + o.GetResourceVersion()
}

func digest(v map[string]any) string {
	text, err := json.Marshal(v) // sorts keys
	if err != nil {
		text = fmt.Append(nil, err) // cannot happen: maps, lists and scalars only
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}
