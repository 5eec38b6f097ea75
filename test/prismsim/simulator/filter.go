package simulator

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The $filter forms that CAPX sends, and no others:
//
//	expr       = and { "or" and }
//	and        = term { "and" term }
//	term       = "(" expr ")" | any | comparison
//	any        = path "/any(" variable ":" expr ")"
//	comparison = path "eq" ( 'text' | digits | Enum.Type'MEMBER' )

// field says how a filter may compare one field of a collection.
type field struct {
	kind literalKind
	// enum is the type name that must stand before one of the members.
	enum    string
	members []string
}

type literalKind int

const (
	textLiteral literalKind = iota
	numberLiteral
	enumLiteral
)

var (
	text   = field{kind: textLiteral}
	number = field{kind: numberLiteral}
)

func enumOf(name string, members ...string) field {
	return field{kind: enumLiteral, enum: name, members: members}
}

// schema holds what a collection can be filtered on: fields by path, and lists
// with the fields of their elements, which only any() reaches.
type schema struct {
	fields map[string]field
	lists  map[string]map[string]field
}

// predicate tells whether a document passes a filter.
type predicate func(object) bool

// parseFilter compiles a $filter. Its errors say what is not understood.
func parseFilter(expression string, known schema) (predicate, error) {
	tokens, err := tokenize(expression)
	if err != nil {
		return nil, err
	}
	p := &filterParser{tokens: tokens, lists: known.lists, fields: known.fields}
	match, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.peek() != "" {
		return nil, fmt.Errorf("unexpected %q in the filter", p.peek())
	}
	return match, nil
}

var filterToken = regexp.MustCompile(`^(?:'[^']*'|[A-Za-z_][A-Za-z0-9_./]*|[0-9]+|[():])`)

func tokenize(expression string) ([]string, error) {
	var tokens []string
	for rest := strings.TrimSpace(expression); rest != ""; rest = strings.TrimLeft(rest, " ") {
		token := filterToken.FindString(rest)
		if token == "" {
			return nil, fmt.Errorf("unexpected character at %q in the filter", rest)
		}
		tokens = append(tokens, token)
		rest = rest[len(token):]
	}
	return tokens, nil
}

type filterParser struct {
	tokens []string
	lists  map[string]map[string]field
	// fields are those of the collection or, inside any(), of the elements.
	fields map[string]field
	// variable is set inside any(), where every path starts with it.
	variable string
}

func (p *filterParser) peek() string {
	if len(p.tokens) == 0 {
		return ""
	}
	return p.tokens[0]
}

func (p *filterParser) next() string {
	token := p.peek()
	if token != "" {
		p.tokens = p.tokens[1:]
	}
	return token
}

func (p *filterParser) expect(want string) error {
	if got := p.next(); got != want {
		return fmt.Errorf("found %q where the filter needs %q", got, want)
	}
	return nil
}

func (p *filterParser) or() (predicate, error) {
	return p.chain("or", p.and, func(a, b bool) bool { return a || b })
}

func (p *filterParser) and() (predicate, error) {
	return p.chain("and", p.term, func(a, b bool) bool { return a && b })
}

func (p *filterParser) chain(word string, operand func() (predicate, error), join func(a, b bool) bool) (predicate, error) {
	left, err := operand()
	if err != nil {
		return nil, err
	}
	for p.peek() == word {
		p.next()
		right, err := operand()
		if err != nil {
			return nil, err
		}
		first := left
		left = func(doc object) bool { return join(first(doc), right(doc)) }
	}
	return left, nil
}

func (p *filterParser) term() (predicate, error) {
	if p.peek() == "(" {
		p.next()
		inner, err := p.or()
		if err != nil {
			return nil, err
		}
		return inner, p.expect(")")
	}
	path := p.next()
	if list, ok := strings.CutSuffix(path, "/any"); ok && p.peek() == "(" {
		return p.any(list)
	}
	return p.comparison(path)
}

func (p *filterParser) any(list string) (predicate, error) {
	outer := p.fields
	elements, ok := p.lists[list]
	if p.variable != "" || !ok {
		return nil, fmt.Errorf("any() over %q is not known here", list)
	}
	p.next()
	p.fields, p.variable = elements, p.next()
	if err := p.expect(":"); err != nil {
		return nil, err
	}
	inner, err := p.or()
	if err != nil {
		return nil, err
	}
	p.fields, p.variable = outer, ""
	return func(doc object) bool {
		elements, _ := doc[list].([]object)
		return slices.ContainsFunc(elements, inner)
	}, p.expect(")")
}

func (p *filterParser) comparison(path string) (predicate, error) {
	inScope := true
	if p.variable != "" {
		path, inScope = strings.CutPrefix(path, p.variable+"/")
	}
	known, found := p.fields[path]
	if !inScope || !found {
		return nil, fmt.Errorf("filtering on %q is not known here", path)
	}
	if err := p.expect("eq"); err != nil {
		return nil, err
	}
	want, err := p.literal(path, known)
	if err != nil {
		return nil, err
	}
	steps := strings.Split(path, "/")
	return func(doc object) bool {
		got := lookup(doc, steps)
		return got != nil && fmt.Sprint(got) == want
	}, nil
}

// literal reads the right side of a comparison as it would be printed.
func (p *filterParser) literal(path string, known field) (string, error) {
	token := p.next()
	switch known.kind {
	case numberLiteral:
		n, err := strconv.ParseInt(token, 10, 64)
		if err != nil {
			return "", fmt.Errorf("%s is compared with %s, which is not a number", path, token)
		}
		return strconv.FormatInt(n, 10), nil
	case enumLiteral:
		if token != known.enum {
			return "", fmt.Errorf("%s is compared with %s, not with a member of %s", path, token, known.enum)
		}
		token = p.next()
	case textLiteral:
	}
	if !strings.HasPrefix(token, "'") {
		return "", fmt.Errorf("%s is compared with %q, which is not a quoted text", path, token)
	}
	value := strings.Trim(token, "'")
	if known.kind == enumLiteral && !slices.Contains(known.members, value) {
		return "", fmt.Errorf("%s has no member %s", known.enum, value)
	}
	return value, nil
}

func lookup(doc object, path []string) any {
	value := doc[path[0]]
	if len(path) == 1 {
		return value
	}
	inner, ok := value.(object)
	if !ok {
		return nil
	}
	return lookup(inner, path[1:])
}
