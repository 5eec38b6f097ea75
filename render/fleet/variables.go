package fleet

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"

	"github.com/Masterminds/semver/v3"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/build"
)

// Values returns what the variables of a profile stand for in a cluster that sets set: that, else the default. The
// error joins one for every variable that is unknown, has no value, or has one that does not fit its format; the values
// are those without a mistake.
func Values(p v1alpha1.ClusterProfileSpec, set map[string]string) (map[string]string, error) {
	values, wrong := values(p, set)
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(wrong)) {
		errs = append(errs, wrong[name])
	}
	return values, errors.Join(errs...)
}

// values returns mistakes by variable.
func values(p v1alpha1.ClusterProfileSpec, set map[string]string) (map[string]string, map[string]error) {
	out, wrong := map[string]string{}, map[string]error{}
	var known []string
	for _, v := range p.Variables {
		known = append(known, v.Name)
		value, ok := set[v.Name]
		if !ok && v.Default != nil {
			value, ok = *v.Default, true
		}
		if !ok {
			wrong[v.Name] = fmt.Errorf("variable %s of profile %s has no default: set it", v.Name, p.Profile)
			continue
		}
		if err := fits(v.Format, value); err != nil {
			wrong[v.Name] = fmt.Errorf("variable %s of profile %s: %w", v.Name, p.Profile, err)
			continue
		}
		out[v.Name] = value
	}
	for name := range set {
		if slices.Contains(known, name) {
			continue
		}
		message := fmt.Sprintf("profile %s %s has no variable %s", p.Profile, p.Version, name)
		if near := build.Nearest(name, known); near != "" {
			message += ": did you mean " + near + "?"
		}
		wrong[name] = errors.New(message)
	}
	return out, wrong
}

var number = regexp.MustCompile(`^[+-]?[0-9]+(\.[0-9]+)?$`)

func fits(format v1alpha1.VariableFormat, value string) error {
	ok, example := true, ""
	switch format {
	case v1alpha1.FormatNumber:
		ok, example = number.MatchString(value), "a number such as 3 or 0.5"
	case v1alpha1.FormatBoolean:
		ok, example = value == "true" || value == "false", "true or false"
	case v1alpha1.FormatIPv4:
		a, err := netip.ParseAddr(value)
		ok, example = err == nil && a.Is4(), "an IPv4 address such as 10.0.0.1"
	case v1alpha1.FormatCIDR:
		_, err := netip.ParsePrefix(value)
		ok, example = err == nil, "an IP prefix such as 10.0.0.0/16"
	case v1alpha1.FormatVersion:
		_, err := semver.NewVersion(value)
		ok, example = err == nil, "a version such as 1.2.3"
	case v1alpha1.FormatString:
	}
	if !ok {
		return fmt.Errorf("%q is not %s", value, example)
	}
	return nil
}

// variable says whether the profile declares a variable.
func (p *profileItem) variable(name string) bool {
	return slices.ContainsFunc(p.Object.Spec.Variables, func(v v1alpha1.Variable) bool { return v.Name == name })
}

func (p *profileItem) undeclared(name string) error {
	known := make([]string, len(p.Object.Spec.Variables))
	for i, v := range p.Object.Spec.Variables {
		known[i] = v.Name
	}
	message := fmt.Sprintf("variable %q is not declared by profile %s %s", name, p.Object.Spec.Profile, p.Object.Spec.Version)
	if near := build.Nearest(name, known); near != "" {
		return fmt.Errorf("%s: did you mean %s?", message, near)
	}
	return fmt.Errorf("%s: add it to spec.variables", message)
}
