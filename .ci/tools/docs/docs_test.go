// Package docs checks the documentation: its links, and the length of its pages.
package docs

import (
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

const (
	root        = "../../.."
	readme      = "README.md"
	readmeWords = 900
	readmeLines = 160
)

var (
	inlineCode = regexp.MustCompile("`[^`]*`")
	link       = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	heading    = regexp.MustCompile(`^#{1,6} +(.+?) *$`)
	linkText   = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
)

// page is a Markdown file of the repository.
type page struct {
	links   []string
	anchors map[string]bool
}

// pages returns all Markdown files that git tracks, by their path.
func pages(t *testing.T) map[string]page {
	t.Helper()
	list, err := exec.Command("git", "-C", root, "ls-files", "-z", "--", "*.md").Output()
	if err != nil {
		t.Skipf("git does not list the files: %v", err)
	}
	all := make(map[string]page)
	for path := range strings.SplitSeq(strings.TrimSuffix(string(list), "\x00"), "\x00") {
		text, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		all[path] = parsePage(string(text))
	}
	return all
}

// parsePage returns the links and the anchors of a page. It ignores code.
func parsePage(text string) page {
	p := page{anchors: make(map[string]bool)}
	fenced := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
			continue
		}
		if fenced {
			continue
		}
		if m := heading.FindStringSubmatch(line); m != nil {
			p.anchors[anchor(m[1])] = true
		}
		for _, m := range link.FindAllStringSubmatch(inlineCode.ReplaceAllString(line, "code"), -1) {
			p.links = append(p.links, m[1])
		}
	}
	return p
}

// anchor returns the anchor that GitHub gives to a heading.
func anchor(heading string) string {
	heading = linkText.ReplaceAllString(heading, "$1")
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
			return unicode.ToLower(r)
		case r == ' ':
			return '-'
		}
		return -1
	}, heading)
}

func TestAnchor(t *testing.T) {
	for heading, want := range map[string]string{
		"Quick start":            "quick-start",
		"`createStreamClient()`": "createstreamclient",
		"Status, and more":       "status-and-more",
		"A [link](x.md) here":    "a-link-here",
	} {
		if got := anchor(heading); got != want {
			t.Errorf("anchor(%q) = %q, want %q", heading, got, want)
		}
	}
}

func TestLinks(t *testing.T) {
	all := pages(t)
	for path, p := range all {
		for _, target := range p.links {
			u, err := url.Parse(target)
			if err != nil {
				t.Errorf("%s: %s: %v", path, target, err)
				continue
			}
			if u.Scheme != "" {
				continue // another site
			}
			at := path
			if u.Path != "" {
				at = filepath.ToSlash(filepath.Join(filepath.Dir(path), u.Path))
			}
			if _, err := os.Stat(filepath.Join(root, at)); err != nil {
				t.Errorf("%s: %s: %v", path, target, err)
				continue
			}
			if u.Fragment != "" && !all[at].anchors[u.Fragment] {
				t.Errorf("%s: %s: %s has no such heading", path, target, at)
			}
		}
	}
}

// TestPagesAreReachable checks that each page of the documentation is at most two links away from
// the README.
func TestPagesAreReachable(t *testing.T) {
	all := pages(t)
	reached := map[string]bool{readme: true}
	for range 2 {
		for path := range maps.Clone(reached) {
			for _, target := range all[path].links {
				file, _, _ := strings.Cut(target, "#")
				reached[filepath.ToSlash(filepath.Join(filepath.Dir(path), file))] = true
			}
		}
	}
	for path := range all {
		if !reached[path] {
			t.Errorf("%s is more than two links away from %s", path, readme)
		}
	}
}

func TestReadmeIsShort(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, readme))
	if err != nil {
		t.Fatal(err)
	}
	if words := len(strings.Fields(string(text))); words > readmeWords {
		t.Errorf("%s has %d words, more than %d; move details to backend/docs", readme, words, readmeWords)
	}
	if lines := strings.Count(string(text), "\n"); lines > readmeLines {
		t.Errorf("%s has %d lines, more than %d; move details to backend/docs", readme, lines, readmeLines)
	}
}
