package simulator_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/refract-dev/refract/test/prismsim/simulator"
)

const (
	vmsPath        = "/api/vmm/v4.2/ahv/config/vms"
	tasksPath      = "/api/prism/v4.2/config/tasks"
	categoriesPath = "/api/prism/v4.2/config/categories"
	username       = "admin"
	password       = "secret/4u"
)

func newServer(t *testing.T, change ...func(*simulator.Options)) *simulator.Server {
	t.Helper()
	o := simulator.Options{Model: simulator.DefaultModel(), Username: username, Password: password}
	for _, f := range change {
		f(&o)
	}
	s := simulator.New(o)
	t.Cleanup(s.Close)
	return s
}

type answer struct {
	status int
	header http.Header
	body   map[string]any
}

func (a answer) data(t *testing.T) map[string]any {
	t.Helper()
	data, ok := a.body["data"].(map[string]any)
	if !ok {
		t.Fatalf("no data in %d %v", a.status, a.body)
	}
	return data
}

// message is the text of an error of the v4 API, code its code.
func (a answer) message(t *testing.T) (message, code string) {
	t.Helper()
	list, ok := a.data(t)["error"].([]any)
	if !ok || len(list) != 1 {
		t.Fatalf("no error in %d %v", a.status, a.body)
	}
	first := list[0].(map[string]any)
	code, _ = first["code"].(string)
	return first["message"].(string), code
}

// call sends a request as the right user; headers alternate name and value.
func call(t *testing.T, s *simulator.Server, method, target, body string, headers ...string) answer {
	t.Helper()
	return send(t, s, method, target, body, append(headers, "Authorization", basic(username, password))...)
}

func basic(user, pass string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+pass))
}

func send(t *testing.T, s *simulator.Server, method, target, body string, headers ...string) answer {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, strings.ReplaceAll(target, " ", "%20"), strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	a := answer{status: w.Code, header: w.Header()}
	if got := w.Header().Get("Content-Type"); got != "application/json" {
		t.Errorf("%s %s: Content-Type %q, want application/json", method, target, got)
	}
	if w.Code == http.StatusNoContent {
		return a
	}
	if err := json.Unmarshal(w.Body.Bytes(), &a.body); err != nil {
		t.Fatalf("%s %s: %d is not JSON: %v", method, target, w.Code, err)
	}
	return a
}

func TestAuthentication(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	login := call(t, s, http.MethodGet, "/api/nutanix/v3/users/me", "")
	cookie, err := http.ParseSetCookie(login.header.Get("Set-Cookie"))
	if login.status != http.StatusOK || err != nil {
		t.Fatalf("login: %d, Set-Cookie %q: %v", login.status, login.header.Get("Set-Cookie"), err)
	}
	for name, c := range map[string]struct {
		headers []string
		want    int
	}{
		"Nothing":       {nil, http.StatusUnauthorized},
		"Basic":         {[]string{"Authorization", basic(username, password)}, http.StatusOK},
		"WrongPassword": {[]string{"Authorization", basic(username, "wrong")}, http.StatusUnauthorized},
		"WrongUser":     {[]string{"Authorization", basic("nobody", password)}, http.StatusUnauthorized},
		"NoPassword":    {[]string{"Authorization", basic("", "")}, http.StatusUnauthorized},
		"Session":       {[]string{"Cookie", cookie.Name + "=" + cookie.Value}, http.StatusOK},
		"OtherSession":  {[]string{"Cookie", cookie.Name + "=stale"}, http.StatusUnauthorized},
		"StaleAndBasic": {[]string{"Cookie", cookie.Name + "=stale", "Authorization", basic(username, password)}, http.StatusOK},
		"APIKey":        {[]string{"X-ntnx-api-key", password}, http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := send(t, s, http.MethodGet, vmsPath, "", c.headers...)
			if got.status != c.want {
				t.Errorf("got %d %v, want %d", got.status, got.body, c.want)
			}
		})
	}
}

func TestErrorsHaveTheFormOfTheAPI(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for path, want := range map[string]string{
		vmsPath:                                 "vmm.v4.error.ErrorResponse",
		categoriesPath:                          "prism.v4.error.ErrorResponse",
		"/api/networking/v4.2/config/subnets":   "networking.v4.error.ErrorResponse",
		"/api/clustermgmt/v4.2/config/clusters": "clustermgmt.v4.error.ErrorResponse",
	} {
		got := call(t, s, http.MethodGet, path+"/none", "")
		if objectType := got.data(t)["$objectType"]; got.status != http.StatusNotFound || objectType != want {
			t.Errorf("%s: %d %v, want 404 %s", path, got.status, objectType, want)
		}
	}
	v3 := call(t, s, http.MethodGet, "/api/nutanix/v3/projects/none", "")
	if v3.status != http.StatusNotFound || v3.body["state"] != "ERROR" {
		t.Errorf("v3: %d %v, want 404 and state ERROR", v3.status, v3.body)
	}
}

// lines collects the log.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func TestUnknownIsRefused(t *testing.T) {
	t.Parallel()
	var log lines
	s := newServer(t, func(o *simulator.Options) { o.Log = &log })
	cases := map[string]struct{ method, target, body string }{
		"Path":           {http.MethodGet, "/api/vmm/v4.2/ahv/config/snapshots", ""},
		"Root":           {http.MethodGet, "/", ""},
		"Version":        {http.MethodGet, "/api/vmm/v4.1/ahv/config/vms", ""},
		"Method":         {http.MethodPatch, vmsPath + "/x", "{}"},
		"Action":         {http.MethodPost, vmsPath + "/x/$actions/reboot", ""},
		"TrailingSlash":  {http.MethodGet, vmsPath + "/", ""},
		"UncleanPath":    {http.MethodGet, "/api//vmm/v4.2/ahv/config/vms", ""},
		"OrderBy":        {http.MethodGet, vmsPath + "?$orderby=name", ""},
		"Select":         {http.MethodGet, vmsPath + "?$select=name", ""},
		"Expand":         {http.MethodGet, categoriesPath + "?$expand=associations", ""},
		"OptionOnGet":    {http.MethodGet, tasksPath + "/x?$select=status", ""},
		"OptionTwice":    {http.MethodGet, vmsPath + "?$page=0&$page=1", ""},
		"FilterForm":     {http.MethodGet, vmsPath + "?$filter=startswith(name,'a')", ""},
		"FilterField":    {http.MethodGet, vmsPath + "?$filter=description eq 'a'", ""},
		"Namespace":      {http.MethodOptions, "/api/opsmgmt/unversioned/info", ""},
		"V3":             {http.MethodPost, "/api/nutanix/v3/vms/list", `{"kind":"vm"}`},
		"V3Filter":       {http.MethodPost, "/api/nutanix/v3/projects/list", `{"kind":"project","filter":"name==a"}`},
		"V3Sort":         {http.MethodPost, "/api/nutanix/v3/projects/list", `{"kind":"project","sort_order":"ASCENDING"}`},
		"BodyField":      {http.MethodPost, vmsPath, `{"name":"a","pcieDevices":[{"extId":"x"}]}`},
		"BodyType":       {http.MethodPost, vmsPath, vmBody(t, simulator.DefaultModel(), "a", "VmDisk", "ADSFVolumeGroupReference")},
		"CategoryDetail": {http.MethodPost, categoriesPath, `{"key":"a","value":"b","ownerUuid":"c"}`},
	}
	for name, c := range cases {
		got := call(t, s, c.method, c.target, c.body)
		if got.status != http.StatusNotImplemented {
			t.Errorf("%s: got %d %v, want 501", name, got.status, got.body)
		}
	}
	if got := s.Refused(); len(got) != len(cases) {
		t.Errorf("Refused has %d entries, want %d: %v", len(got), len(cases), got)
	}
	if got := strings.Count(log.text.String(), "\n"); got != len(cases) {
		t.Errorf("the log has %d lines, want %d:\n%s", got, len(cases), log.text.String())
	}
	if vms := s.VMs(); len(vms) != 0 {
		t.Errorf("a refused request made VMs: %v", vms)
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(o *simulator.Options) {
		for i := range 120 {
			o.Model.VMs = append(o.Model.VMs, smallVM(fmt.Sprintf("vm-%03d", i)))
		}
	})
	for query, want := range map[string]struct {
		first string
		count int
	}{
		"":                      {"vm-000", 50},
		"?$page=0":              {"vm-000", 50},
		"?$page=1":              {"vm-050", 50},
		"?$page=2":              {"vm-100", 20},
		"?$page=3":              {"", 0},
		"?$page=2147483648":     {"", 0},
		"?$limit=100":           {"vm-000", 100},
		"?$limit=100&$page=1":   {"vm-100", 20},
		"?$limit=0":             {"", 0},
		"?$page=17&$limit=7":    {"vm-119", 1},
		"?%24page=1&%24limit=7": {"vm-007", 7},
	} {
		got := call(t, s, http.MethodGet, vmsPath+query, "")
		items, _ := got.body["data"].([]any)
		if len(items) != want.count {
			t.Errorf("%s: %d items, want %d", query, len(items), want.count)
		}
		if len(items) > 0 && items[0].(map[string]any)["name"] != want.first {
			t.Errorf("%s: starts with %v, want %s", query, items[0].(map[string]any)["name"], want.first)
		}
		if total := totalOf(got); total != 120 {
			t.Errorf("%s: total %v, want 120", query, total)
		}
	}
	filtered := call(t, s, http.MethodGet, vmsPath+"?$filter=name eq 'vm-077'&$page=0", "")
	if total := totalOf(filtered); total != 1 {
		t.Errorf("filtered: total %v, want 1", total)
	}
	for _, query := range []string{"?$limit=101", "?$limit=-1", "?$page=-1", "?$page=x"} {
		if got := call(t, s, http.MethodGet, vmsPath+query, ""); got.status != http.StatusBadRequest {
			t.Errorf("%s: got %d, want 400", query, got.status)
		}
	}
}

// totalOf is the number of matches over all pages, or -1.
func totalOf(a answer) int {
	metadata, _ := a.body["metadata"].(map[string]any)
	if total, ok := metadata["totalAvailableResults"].(float64); ok {
		return int(total)
	}
	return -1
}

func TestOutage(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.SetUnavailable(true)
	if got := call(t, s, http.MethodGet, vmsPath, ""); got.status != http.StatusServiceUnavailable {
		t.Errorf("during the outage: %d, want 503", got.status)
	}
	s.SetUnavailable(false)
	if got := call(t, s, http.MethodGet, vmsPath, ""); got.status != http.StatusOK {
		t.Errorf("after the outage: %d, want 200", got.status)
	}
}

func TestModelThatContradictsItself(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*simulator.VM){
		"PrismElement": func(v *simulator.VM) { v.PrismElement = "PE-9" },
		"Subnet":       func(v *simulator.VM) { v.Subnets = []string{"vlan-9"} },
		"Image":        func(v *simulator.VM) { v.Image = "windows" },
		"Category":     func(v *simulator.VM) { v.Categories = []string{"No=Such"} },
		"Project":      func(v *simulator.VM) { v.Project = "none" },
		"PowerState":   func(v *simulator.VM) { v.PowerState = "on" },
		"Memory":       func(v *simulator.VM) { v.MemoryBytes = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			vm := smallVM("broken")
			change(&vm)
			s := newServer(t, func(o *simulator.Options) { o.Model.VMs = []simulator.VM{vm} })
			got := call(t, s, http.MethodGet, vmsPath, "")
			if message, _ := got.message(t); got.status != http.StatusInternalServerError || !strings.Contains(message, `VM "broken"`) {
				t.Errorf("got %d %q, want 500 naming the VM", got.status, message)
			}
		})
	}
}

func TestRequestsAreCounted(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	call(t, s, http.MethodGet, vmsPath, "")
	call(t, s, http.MethodGet, vmsPath+"/a", "")
	call(t, s, http.MethodGet, vmsPath+"/b", "")
	call(t, s, http.MethodGet, "/nowhere", "")
	got := s.Requests()
	if len(got) != 2 || got["GET "+vmsPath] != 1 || got["GET "+vmsPath+"/{extId}"] != 2 {
		t.Errorf("got %v", got)
	}
}
