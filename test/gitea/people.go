package gitea

import (
	"context"
	"fmt"

	"code.gitea.io/sdk/gitea"
)

// Person of a Gitea, with a token.
type Person struct {
	// Name to sign in by.
	Name string
	// Token of the API and of Git over HTTP.
	Token string
	// API as this person.
	API *gitea.Client

	server   *Server
	password string
}

// Person makes a person whose token has these scopes; with none it has all.
func (s *Server) Person(ctx context.Context, name string, scopes ...string) (*Person, error) {
	p := &Person{server: s, Name: name, password: secret()}
	must := false
	if _, _, err := s.Admin.API.AdminCreateUser(gitea.CreateUserOption{
		Username: name, Email: name + "@example.com", Password: p.password, MustChangePassword: &must,
	}); err != nil {
		return nil, fmt.Errorf("making %s: %w", name, err)
	}
	if len(scopes) == 0 {
		scopes = []string{"all"}
	}
	return p, p.enter(ctx, scopes...)
}

// enter makes a token and signs in by it.
func (p *Person) enter(ctx context.Context, scopes ...string) error {
	t, err := p.NewToken(ctx, scopes...)
	if err != nil {
		return err
	}
	p.Token = t
	p.API, err = p.server.client(ctx, gitea.SetToken(t))
	return err
}

// NewToken makes one more token with these scopes.
func (p *Person) NewToken(ctx context.Context, scopes ...string) (string, error) {
	c, err := p.server.client(ctx, gitea.SetBasicAuth(p.Name, p.password))
	if err != nil {
		return "", err
	}
	all := make([]gitea.AccessTokenScope, 0, len(scopes))
	for _, scope := range scopes {
		all = append(all, gitea.AccessTokenScope(scope))
	}
	made, _, err := c.CreateAccessToken(gitea.CreateAccessTokenOption{Name: secret(), Scopes: all})
	if err != nil {
		return "", fmt.Errorf("a token for %s: %w", p.Name, err)
	}
	p.server.tokens.Store(made.Token, p.Name)
	return made.Token, nil
}

func (s *Server) client(ctx context.Context, auth gitea.ClientOption) (*gitea.Client, error) {
	return gitea.NewClient(s.URL(), auth, gitea.SetGiteaVersion(""), gitea.SetContext(context.WithoutCancel(ctx)))
}

// Team makes an organization if it is missing, and in it a team with these people that may do something (read, write) to
// all of its repositories.
func (s *Server) Team(org, team string, access gitea.AccessMode, people ...*Person) error {
	if _, _, err := s.Admin.API.GetOrg(org); err != nil {
		if _, _, err := s.Admin.API.CreateOrg(gitea.CreateOrgOption{Name: org}); err != nil {
			return fmt.Errorf("making organization %s: %w", org, err)
		}
	}
	made, _, err := s.Admin.API.CreateTeam(org, gitea.CreateTeamOption{
		Name: team, Permission: access, IncludesAllRepositories: true,
		Units: []gitea.RepoUnitType{gitea.RepoUnitCode, gitea.RepoUnitPulls, gitea.RepoUnitIssues},
	})
	if err != nil {
		return fmt.Errorf("making team %s/%s: %w", org, team, err)
	}
	for _, p := range people {
		if _, err := s.Admin.API.AddTeamMember(made.ID, p.Name); err != nil {
			return fmt.Errorf("adding %s to team %s/%s: %w", p.Name, org, team, err)
		}
	}
	return nil
}
