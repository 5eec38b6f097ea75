package forge

import (
	"encoding/pem"
	"errors"
	"maps"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLocate(t *testing.T) {
	for name, c := range map[string]struct{ url, address, repository string }{
		"HTTPS":         {"https://github.com/platform/clusters.git", "https://github.com", "platform/clusters"},
		"WithoutSuffix": {"https://github.com/platform/clusters", "https://github.com", "platform/clusters"},
		"SlashAtTheEnd": {"https://github.com/platform/clusters/", "https://github.com", "platform/clusters"},
		"Port":          {"https://gitea.example.com:3000/platform/clusters.git", "https://gitea.example.com:3000", "platform/clusters"},
		"BelowAPath":    {"https://example.com/gitea/platform/clusters.git", "https://example.com/gitea", "platform/clusters"},
		"UpperCase":     {"https://GitHub.com/Platform/Clusters", "https://github.com", "Platform/Clusters"},
		"SSH":           {"ssh://git@github.com/platform/clusters.git", "https://github.com", "platform/clusters"},
		"SSHPort":       {"ssh://git@gitea.example.com:2222/platform/clusters.git", "https://gitea.example.com", "platform/clusters"},
		"SSHOverHTTPS":  {"ssh://git@ssh.github.com:443/platform/clusters.git", "https://github.com", "platform/clusters"},
		"SCP":           {"git@github.com:platform/clusters.git", "https://github.com", "platform/clusters"},
		"SCPSlash":      {"git@github.com:/platform/clusters.git", "https://github.com", "platform/clusters"},
		"SCPNoUser":     {"github.com:platform/clusters", "https://github.com", "platform/clusters"},
		"Loopback":      {"http://127.0.0.1:3000/platform/clusters.git", "http://127.0.0.1:3000", "platform/clusters"},
		"IPv6":          {"ssh://git@[2001:db8::1]:22/platform/clusters", "https://[2001:db8::1]", "platform/clusters"},
		"Dots":          {"https://github.com/platform/my.clusters.git", "https://github.com", "platform/my.clusters"},

		"File":        {"file:///srv/git/clusters.git", "", ""},
		"NoOwner":     {"https://git.example.com/clusters.git", "", ""},
		"SSHDeep":     {"git@git.example.com:group/platform/clusters.git", "", ""},
		"HTTP":        {"http://git.example.com/platform/clusters", "", ""},
		"Empty":       {"", "", ""},
		"OnlyAHost":   {"https://github.com", "", ""},
		"OutOfIt":     {"https://github.com/platform/..", "", ""},
		"NoGitAtAll":  {"clusters", "", ""},
		"OtherScheme": {"svn://example.com/platform/clusters", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			address, repository, err := Locate(c.url)
			if address != c.address || repository != c.repository || (err == nil) != (c.address != "") {
				t.Errorf("%s is %q at %q, %v; want %q at %q", c.url, repository, address, err, c.repository, c.address)
			}
			if err != nil && !errors.Is(err, ErrRefused) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	good := Options{Provider: GitHub, Address: "https://github.com", Repository: "a/b", Auth: Auth{Token: secretToken}, Now: func() time.Time { return noon }}
	if _, err := Open(good); err != nil {
		t.Fatal(err)
	}
	app := newApp(t, 0).auth()
	for name, c := range map[string]struct {
		reason string
		change func(*Options)
		kind   error
		words  string
	}{
		"Provider":     {"one file a host", func(o *Options) { o.Provider = "GitLab" }, ErrRefused, "GitHub or Gitea"},
		"HTTP":         {"credentials would be seen", func(o *Options) { o.Address, o.AllowInsecure = "http://git.example.com", true }, ErrRefused, "https"},
		"Loopback":     {"only for tests and demos", func(o *Options) { o.Address = "http://127.0.0.1:3000" }, ErrRefused, "https"},
		"Credentials":  {"they belong into the Secret", func(o *Options) { o.Address = "https://me:" + secretToken + "@github.com" }, ErrRefused, "Secret"},
		"NoHost":       {"no address", func(o *Options) { o.Address = "github.com" }, ErrRefused, "https://host"},
		"Repository":   {"owner and name", func(o *Options) { o.Repository = "clusters" }, ErrRefused, "owner/name"},
		"OutOfIt":      {"a path to elsewhere", func(o *Options) { o.Repository = "../user" }, ErrRefused, "owner/name"},
		"NoToken":      {"reviews are written by somebody", func(o *Options) { o.Auth = Auth{} }, ErrAuth, "token"},
		"NoGiteaToken": {"likewise", func(o *Options) { o.Provider, o.Auth = Gitea, Auth{} }, ErrAuth, "token"},
		"AppOnGitea":   {"only GitHub has Apps", func(o *Options) { o.Provider, o.Auth = Gitea, app }, ErrAuth, "provider is Gitea"},
		"CA":           {"no certificate", func(o *Options) { o.Auth.CA = []byte("MIIB") }, ErrAuth, "ca.crt"},
	} {
		t.Run(name, func(t *testing.T) {
			o := good
			c.change(&o)
			_, err := Open(o)
			if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.words) || strings.Contains(err.Error(), secretToken) {
				t.Errorf("%s: %v", c.reason, err)
			}
		})
	}
}

func TestGitHubAPI(t *testing.T) {
	for address, want := range map[string]string{
		"https://github.com": "https://api.github.com/", "https://acme.ghe.com": "https://api.acme.ghe.com/",
		"https://github.example.com": "https://github.example.com/api/v3/", "https://example.com:8443/hub": "https://example.com:8443/hub/api/v3/",
	} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if got := gitHubAPI(u).String(); got != want {
			t.Errorf("%s has its API at %s, want %s", address, got, want)
		}
	}
}

func TestAuthFromSecret(t *testing.T) {
	key := string(newApp(t, 0).auth().PrivateKey)
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}))
	app := map[string]string{"githubAppID": "1234", "githubAppInstallationID": " 42\n", "githubAppPrivateKey": key}
	with := func(change map[string]string) map[string]string {
		all := map[string]string{}
		for _, m := range []map[string]string{app, change} {
			maps.Copy(all, m)
		}
		return all
	}
	for name, c := range map[string]struct {
		reason string
		data   map[string]string
		want   Auth
		words  []string
	}{
		"Token":     {"with the line end of an editor", map[string]string{"token": secretToken + "\n"}, Auth{Token: secretToken}, nil},
		"App":       {"Flux' keys", app, Auth{AppID: 1234, InstallationID: 42, PrivateKey: []byte(key)}, nil},
		"OtherKeys": {"a Secret may serve Git as well", map[string]string{"token": secretToken, "username": "me", "password": "x"}, Auth{Token: secretToken}, nil},

		"Empty":          {"names what is wanted", nil, Auth{}, []string{"token", "githubAppID"}},
		"Both":           {"which one?", with(map[string]string{"token": secretToken}), Auth{}, []string{"both"}},
		"NoKey":          {"half a set", with(map[string]string{"githubAppPrivateKey": ""}), Auth{}, []string{"githubAppPrivateKey", "lacks"}},
		"NoInstallation": {"half a set", with(map[string]string{"githubAppInstallationID": " "}), Auth{}, []string{"githubAppInstallationID", "lacks"}},
		"NotANumber":     {"the client ID instead of the App ID", with(map[string]string{"githubAppID": "Iv23abc"}), Auth{}, []string{"githubAppID", "number"}},
		"NotInstalled":   {"a name instead of a number", with(map[string]string{"githubAppInstallationID": "acme"}), Auth{}, []string{"githubAppInstallationID", "number"}},
		"NotPEM":         {"only the middle was pasted", with(map[string]string{"githubAppPrivateKey": "MIIB"}), Auth{}, []string{"githubAppPrivateKey", "BEGIN"}},
		"PublicKey":      {"the wrong file", with(map[string]string{"githubAppPrivateKey": ca}), Auth{}, []string{"githubAppPrivateKey"}},
		"Blank":          {"two lines were pasted", map[string]string{"token": "ghp_a\nghp_b"}, Auth{}, []string{"token", "blank"}},
		"CA":             {"no certificate", map[string]string{"token": secretToken, "ca.crt": "MIIB"}, Auth{}, []string{"ca.crt"}},
	} {
		t.Run(name, func(t *testing.T) {
			data := map[string][]byte{}
			for k, v := range c.data {
				data[k] = []byte(v)
			}
			got, err := AuthFromSecret(data)
			if diff := cmp.Diff(c.want, got); diff != "" || (err == nil) != (c.words == nil) {
				t.Fatalf("%s: %v\n%s", c.reason, err, diff)
			}
			for _, w := range c.words {
				if !errors.Is(err, ErrAuth) || !strings.Contains(err.Error(), w) || strings.Contains(err.Error(), "ghp_") {
					t.Errorf("%s: want %q in: %v", c.reason, w, err)
				}
			}
		})
	}
}

func TestShorten(t *testing.T) {
	line := strings.Repeat("edge-01 rolls ", 10) + "\n"
	long := strings.Repeat(line, 20)
	for name, c := range map[string]struct{ reason, body, end string }{
		"Text":    {"at the end of a line", long, "rolls " + tooLong},
		"Code":    {"a block of code is closed, or it would swallow the sentence", "```yaml\n" + long + "```\n", "rolls \n```" + tooLong},
		"Longer":  {"by a row as long as the one that began it", "````\n```\n" + long + "````\n", "rolls \n````" + tooLong},
		"Folded":  {"details are closed, or it would be folded away", "<details><summary>a</summary>\n\n<details>\n" + long, "rolls \n\n</details>\n</details>" + tooLong},
		"Letters": {"a letter is not cut in two", strings.Repeat("é", 1500), "é" + tooLong},
	} {
		t.Run(name, func(t *testing.T) {
			got := shorten(c.body, 1000)
			if len(got) > 1000 || !strings.HasSuffix(got, c.end) || strings.ToValidUTF8(got, "?") != got {
				t.Errorf("%s: %d bytes: …%q", c.reason, len(got), got[max(0, len(got)-200):])
			}
		})
	}
	if got := shorten(line, 1000); got != line {
		t.Errorf("what fits was changed: %q", got)
	}
}
