package v1alpha1

// Review says how plans come into pull requests, and what they mean at the merge.
//
// +kubebuilder:validation:XValidation:rule="!has(self.provider) || has(self.secretRef)",message="review.provider needs review.secretRef: a Secret with key token, or with githubAppID, githubAppInstallationID and githubAppPrivateKey"
// +kubebuilder:validation:XValidation:rule="has(self.provider) || !has(self.approvers) && !has(self.repository) && !has(self.address)",message="set review.provider (GitHub or Gitea): nothing else of review works without it, but for required"
type Review struct {
	// provider of pull requests. Empty: no pull request is read.
	// +optional
	Provider ReviewProvider `json:"provider,omitempty"`
	// address of the forge, https. Default: the host of spec.git.url. For GitHub Enterprise the address that people open.
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="self.matches('^https?://[^/@]+(/.*)?$')",message="address is an https URL without user and password, such as https://gitea.example.com"
	// +optional
	Address string `json:"address,omitempty"`
	// repository as owner/name. Default: the path of spec.git.url.
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:Pattern=`^[^/\s]+/[^/\s]+$`
	// +optional
	Repository string `json:"repository,omitempty"`
	// secretRef names a Secret with token, or with githubAppID, githubAppInstallationID and githubAppPrivateKey; and ca.crt
	// for a forge whose certificate no public authority signed.
	// +optional
	SecretRef *LocalReference `json:"secretRef,omitempty"`
	// required holds every change whose revision nobody reviewed: the files of the merged revision were not planned in a
	// pull request, or the plan does more than was shown there. Otherwise such a revision goes on under the limits.
	// +optional
	Required bool `json:"required,omitempty"`
	// approvers maps users and teams of the forge to users and groups of Kubernetes. Where one of them approves a pull
	// request and has the verb approve on the Fleet, that stands for the approval annotation.
	// +kubebuilder:validation:MaxItems=100
	// +listType=atomic
	// +optional
	Approvers []ReviewApprover `json:"approvers,omitempty"`
}

// ReviewProvider is a kind of forge.
//
// +kubebuilder:validation:Enum=GitHub;Gitea
type ReviewProvider string

// Providers of pull requests.
const (
	// ReviewGitHub is github.com or GitHub Enterprise.
	ReviewGitHub ReviewProvider = "GitHub"
	// ReviewGitea is Gitea or a forge with its API, such as Forgejo.
	ReviewGitea ReviewProvider = "Gitea"
)

// ReviewApprover maps a user or team of the forge to a user or group of Kubernetes.
//
// +kubebuilder:validation:XValidation:rule="has(self.user) != has(self.team)",message="set exactly one of user and team"
// +kubebuilder:validation:XValidation:rule="has(self.asUser) != has(self.asGroup)",message="set exactly one of asUser and asGroup"
type ReviewApprover struct {
	// user of the forge, by login.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=100
	// +optional
	User string `json:"user,omitempty"`
	// team of the forge, as organization/team.
	// +kubebuilder:validation:MaxLength=200
	// +kubebuilder:validation:Pattern=`^[^/\s]+/[^/\s]+$`
	// +optional
	Team string `json:"team,omitempty"`
	// asUser is the user name that Kubernetes is asked about: may it approve the Fleet's plans?
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	AsUser string `json:"asUser,omitempty"`
	// asGroup is the group that Kubernetes is asked about.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	AsGroup string `json:"asGroup,omitempty"`
}

// Webhook says whose calls have the repository read at once.
type Webhook struct {
	// secretRef names a Secret whose key token, of at least 16 letters, signs the calls: GitHub and Gitea are told it when
	// the webhook is made; anybody else sends X-Signature: sha256=<HMAC-SHA256 of the body in hexadecimal>.
	// +required
	SecretRef LocalReference `json:"secretRef"`
}
