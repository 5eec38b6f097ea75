package api

// reviewRules are those of reviews and webhooks.
func reviewRules() map[string]rule {
	const (
		review  = "spec/review"
		secret  = "review.provider needs review.secretRef: a Secret with key token, or with githubAppID, githubAppInstallationID and githubAppPrivateKey"
		alone   = "set review.provider (GitHub or Gitea): nothing else of review works without it, but for required"
		address = "address is an https URL without user and password, such as https://gitea.example.com"
		whom    = "set exactly one of user and team"
		as      = "set exactly one of asUser and asGroup"
	)
	with := func(field string, value any) fields {
		r := fields{"provider": "Gitea", "secretRef": fields{"name": "forge"}}
		if value == nil {
			delete(r, field)
		} else {
			r[field] = value
		}
		return fields{review: r}
	}
	approver := func(a fields) fields { return with("approvers", []any{a}) }
	many := func(n int) []any {
		all := make([]any, n)
		for i := range all {
			all[i] = fields{"user": "ada", "asUser": "ada@example.com"}
		}
		return all
	}
	return map[string]rule{
		"ReviewAlone":           {reason: "provider and Secret are enough", set: with("", "")},
		"ReviewNone":            {reason: "a Fleet may do without", set: fields{review: nil}},
		"ReviewRequiredOnly":    {reason: "plans may be made elsewhere", set: fields{review: fields{"required": true}}},
		"ReviewOfOtherForge":    {reason: "not built yet", set: with("provider", "GitLab"), refuse: "spec.review.provider"},
		"ReviewWithoutSecret":   {reason: "nobody comments without a token", set: with("secretRef", nil), refuse: secret},
		"ApproversWithoutForge": {reason: "approvals of what?", set: fields{review: fields{"approvers": many(1)}}, refuse: alone},
		"RepositoryAlone":       {reason: "on which forge?", set: fields{review: fields{"repository": "platform/clusters"}}, refuse: alone},
		"AddressAlone":          {reason: "which API does it speak?", set: fields{review: fields{"address": "https://gitea.example.com"}}, refuse: alone},
		"ForgeAddress":          {reason: "a path is part of some", set: with("address", "https://example.com/gitea")},
		"ForgeAddressWithUser":  {reason: "objects are read by many", set: with("address", "https://bot:secret@gitea.example.com"), refuse: address},
		"ForgeAddressIsHost":    {reason: "the scheme is part of it", set: with("address", "gitea.example.com"), refuse: address},
		"ForgeAddressTooLong":   {reason: "2048 characters fit", set: with("address", "https://"+letters(2041)), refuse: "spec.review.address: Too long"},
		"RepositoryMalformed":   {reason: "owner and name", set: with("repository", "clusters"), refuse: "spec.review.repository"},
		"RepositoryOfOwner":     {reason: "owner and name", set: with("repository", "platform/clusters")},
		"ApproverIsUser":        {reason: "one of the forge, one of Kubernetes", set: approver(fields{"user": "ada", "asUser": "ada@example.com"})},
		"ApproverIsTeam":        {reason: "teams approve, too", set: approver(fields{"team": "platform/owners", "asGroup": "owners"})},
		"ApproverIsBoth":        {reason: "whose approval counts?", set: approver(fields{"user": "ada", "team": "platform/owners", "asUser": "ada"}), refuse: whom},
		"ApproverIsNobody":      {reason: "anybody's approval would count", set: approver(fields{"asUser": "ada"}), refuse: whom},
		"ApproverAsBoth":        {reason: "who is asked about?", set: approver(fields{"user": "ada", "asUser": "ada", "asGroup": "owners"}), refuse: as},
		"ApproverAsNobody":      {reason: "nobody has the verb approve", set: approver(fields{"user": "ada"}), refuse: as},
		"ApproverUserEmpty":     {reason: "it names nobody", set: approver(fields{"user": "", "asUser": "ada"}), refuse: "approvers[0].user"},
		"ApproverTeamMalformed": {reason: "teams belong to organizations", set: approver(fields{"team": "owners", "asGroup": "owners"}), refuse: "approvers[0].team"},
		"ApproversAtLimit":      {reason: "100 fit", set: with("approvers", many(100))},
		"ApproversTooMany":      {reason: "101 do not", set: with("approvers", many(101)), refuse: "spec.review.approvers: Too many"},
		"WebhookWithSecret":     {reason: "it proves who calls", set: fields{"spec/webhook": fields{"secretRef": fields{"name": "hook"}}}},
		"WebhookWithoutSecret":  {reason: "anybody could call", set: fields{"spec/webhook": fields{}}, refuse: "spec.webhook.secretRef: Required value"},
	}
}
