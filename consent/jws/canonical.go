package jws

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"aloud.example/aloud"
)

// maxDepth bounds nesting; no message of Aloud nests deeper.
const maxDepth = 8

// Marshal writes v in its one spelling: members in the order of the struct,
// no spaces, no escapes that JSON doesn't demand. JSON.stringify of an object
// with the same order gives the same bytes.
func Marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, aloud.Errorf(aloud.EINTERNAL, "write JSON: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// Unmarshal reads into v exactly what Marshal would have written for it, and
// refuses every other spelling: it reads leniently, writes what it read, and
// compares. Only where that fails does it look for the member at fault.
func Unmarshal(data []byte, v any) error {
	if err := json.Unmarshal(data, v); err == nil {
		again, err := Marshal(v)
		if err != nil {
			return err
		}
		if bytes.Equal(again, data) {
			return nil
		}
	}
	if err := Check(data); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return aloud.Errorf(aloud.EINVALID, "%s", reason(err))
	}
	return aloud.Errorf(aloud.EINVALID, "the JSON is not in its canonical form: members in the documented order, none empty or missing, no spaces, numbers in their shortest form")
}

// UnmarshalSpaced is Unmarshal for JSON that people may have formatted: spaces
// between members don't matter, everything else does.
func UnmarshalSpaced(data []byte, v any) error {
	if err := Check(data); err != nil {
		return err
	}
	var tight bytes.Buffer
	if err := json.Compact(&tight, data); err != nil {
		return aloud.Errorf(aloud.EINVALID, "%s", reason(err))
	}
	return Unmarshal(tight.Bytes(), v)
}

// Check refuses what encoding/json would read leniently: invalid UTF-8, a
// member twice, member names with other letters than a-z, 0-9 and _ (which
// decoders fold together), deep nesting, and anything after the value.
func Check(data []byte) error {
	if !utf8.Valid(data) {
		return aloud.Errorf(aloud.EINVALID, "the JSON is not valid UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := checkValue(d, 0); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return aloud.Errorf(aloud.EINVALID, "there is something after the JSON value")
	}
	return nil
}

func checkValue(d *json.Decoder, depth int) error {
	t, err := d.Token()
	if err != nil {
		return aloud.Errorf(aloud.EINVALID, "%s", reason(err))
	}
	delim, ok := t.(json.Delim)
	if !ok {
		return nil
	}
	if depth == maxDepth {
		return aloud.Errorf(aloud.EINVALID, "the JSON nests deeper than %d levels", maxDepth)
	}
	var seen []string
	for d.More() {
		if delim == '{' {
			if seen, err = checkName(d, seen); err != nil {
				return err
			}
		}
		if err := checkValue(d, depth+1); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil { // the closing bracket
		return aloud.Errorf(aloud.EINVALID, "%s", reason(err))
	}
	return nil
}

// maxMembers bounds the members of one object, and with them the cost of
// looking for a second one of the same name.
const maxMembers = 32

func checkName(d *json.Decoder, seen []string) ([]string, error) {
	t, err := d.Token()
	if err != nil {
		return nil, aloud.Errorf(aloud.EINVALID, "%s", reason(err))
	}
	name, _ := t.(string)
	if !plain(name) {
		return nil, aloud.Errorf(aloud.EINVALID, "the JSON has a member %.40q; names are made of a-z, 0-9 and _", name)
	}
	for _, s := range seen {
		if s == name {
			return nil, aloud.Errorf(aloud.EINVALID, "the JSON has the member %.40q twice", name)
		}
	}
	if len(seen) == maxMembers {
		return nil, aloud.Errorf(aloud.EINVALID, "the JSON has an object with more than %d members", maxMembers)
	}
	return append(seen, name), nil
}

func plain(name string) bool {
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return name != ""
}

// reason says what encoding/json found without its prefix.
func reason(err error) string {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "the JSON ends too early"
	}
	if coded, ok := errors.AsType[*aloud.Error](err); ok {
		return coded.Message
	}
	if mismatch, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Sprintf("the JSON member %.40q has the wrong type", mismatch.Field)
	}
	message := strings.TrimPrefix(err.Error(), "json: ")
	if len(message) > 120 {
		message = message[:120]
	}
	return "the JSON is not as documented: " + strings.ToValidUTF8(message, "?")
}
