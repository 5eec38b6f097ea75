package plan

import (
	"encoding/json"
	"fmt"
)

// storeVersion is the form of stored plans.
const storeVersion = "plan.refract.dev/v1"

// stored is what is kept of a plan: what Digest, CoveredBy and status need. Steps are not: they are computed anew just
// before they are carried out.
type stored struct {
	APIVersion string    `json:"apiVersion"`
	Cluster    string    `json:"cluster"`
	Changes    []Change  `json:"changes,omitempty"`
	Foreign    []Foreign `json:"foreign,omitempty"`
	Predicted  bool      `json:"predicted,omitempty"`
}

// Marshal stores a plan without its steps, as versioned JSON. It holds no secret value.
func Marshal(p Plan) ([]byte, error) {
	data, err := json.Marshal(stored{
		APIVersion: storeVersion, Cluster: p.Cluster, Changes: p.Changes, Foreign: p.Foreign, Predicted: p.Predicted,
	})
	if err != nil {
		return nil, fmt.Errorf("store plan of cluster %s: %w", p.Cluster, err)
	}
	return data, nil
}

// Unmarshal reads what Marshal wrote. A plan of an unknown version is an error: it covers nothing.
func Unmarshal(data []byte) (Plan, error) {
	var s stored
	if err := json.Unmarshal(data, &s); err != nil {
		return Plan{}, fmt.Errorf("read stored plan: %w", err)
	}
	if s.APIVersion != storeVersion {
		return Plan{}, fmt.Errorf("read stored plan of cluster %s: version %q is not %s", s.Cluster, s.APIVersion, storeVersion)
	}
	return Plan{Cluster: s.Cluster, Changes: s.Changes, Foreign: s.Foreign, Predicted: s.Predicted}, nil
}
