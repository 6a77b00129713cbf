package consent

import (
	"crypto/sha256"
	_ "embed"
	"strings"
	"unicode"
	"unicode/utf8"

	"aloud.example/aloud"
)

// Notice is the text a participant decides on, word for word.
type Notice struct {
	Version    string       `json:"version"`
	Language   string       `json:"language"` // BCP 47
	Controller Controller   `json:"controller"`
	Text       string       `json:"text"`
	Purposes   []NoticeItem `json:"purposes"`
}

// Controller answers for the processing. The fields are party_name and
// party_contact of TS 27560; Kantara's piiController and contact.
type Controller struct {
	Name    string `json:"name"`
	Contact string `json:"contact"`
}

// NoticeItem is the part of a notice on one purpose.
type NoticeItem struct {
	ID    Purpose `json:"id"`
	Title string  `json:"title"`
	Text  string  `json:"text"`
}

// maxNotice bounds the whole text of a notice in bytes, so that a receipt that
// keeps it stays under MaxReceipt.
const maxNotice = 8 << 10

//go:embed notice-en.txt
var english string

// EnglishNotice is the notice of an Aloud server run by the given controller.
func EnglishNotice(c Controller) Notice {
	n := Notice{Version: "2026-11", Language: "en", Controller: c}
	parts := strings.Split(strings.TrimSpace(english), "\n\n## ")
	n.Text = strings.TrimSpace(parts[0])
	for _, part := range parts[1:] {
		head, text, _ := strings.Cut(part, "\n")
		id, title, _ := strings.Cut(head, " ")
		n.Purposes = append(n.Purposes, NoticeItem{ID: Purpose(id), Title: title, Text: strings.TrimSpace(text)})
	}
	return n
}

// Full is the text as it is shown: the controller, the notice, then each
// purpose. Hash is over these bytes.
func (n Notice) Full() string {
	var b strings.Builder
	b.WriteString(n.Controller.Name + " (" + n.Controller.Contact + ")\n\n" + n.Text + "\n")
	for _, p := range n.Purposes {
		b.WriteString("\n[" + string(p.ID) + "] " + p.Title + "\n" + p.Text + "\n")
	}
	return b.String()
}

// Hash is the SHA-256 of Full.
func (n Notice) Hash() aloud.Hash { return sha256.Sum256([]byte(n.Full())) }

// Check refuses a notice that nobody could decide on: parts missing, a purpose
// missing or unknown, control characters that would rewrite a terminal.
func (n Notice) Check() error {
	switch {
	case !label(n.Version, 40) || !label(n.Language, 35):
		return aloud.Errorf(aloud.EINVALID, "the notice needs a version and a language of a few letters")
	case !prose(n.Controller.Name) || !prose(n.Controller.Contact):
		return aloud.Errorf(aloud.EINVALID, "the notice must name its controller and how to reach it")
	case !prose(n.Text):
		return aloud.Errorf(aloud.EINVALID, "the notice has no text, or one with control characters")
	case len(n.Full()) > maxNotice:
		return aloud.Errorf(aloud.ETOOLARGE, "the notice may have %d bytes, this has %d", maxNotice, len(n.Full()))
	case len(n.Purposes) != len(AllPurposes()):
		return aloud.Errorf(aloud.EINVALID, "the notice must explain each of the %d purposes once", len(AllPurposes()))
	}
	for i, want := range AllPurposes() {
		if p := n.Purposes[i]; p.ID != want || !prose(p.Title) || !prose(p.Text) {
			return aloud.Errorf(aloud.EINVALID, "the notice must explain %q in place %d, with a title and a text", want, i+1)
		}
	}
	return nil
}

// label reports whether s is a short name of letters, digits and ".-_/".
func label(s string, max int) bool {
	for _, c := range s {
		if c > unicode.MaxASCII || !unicode.IsLetter(c) && !unicode.IsDigit(c) && !strings.ContainsRune(".-_/", c) {
			return false
		}
	}
	return s != "" && len(s) <= max
}

// prose reports whether s is text to show: not empty, valid, and without
// characters that move a cursor, hide or reorder text.
func prose(s string) bool {
	if strings.TrimSpace(s) == "" || !utf8.ValidString(s) {
		return false
	}
	for _, c := range s {
		if c != '\n' && !unicode.IsPrint(c) {
			return false
		}
	}
	return true
}
