//go:build cgo

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/term"

	"aloud.example/aloud"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/signal"
)

// ask shows the notice and asks for each purpose by itself.
func ask(e *env, d consent.Decision, area signal.Cell) (consent.Decision, signal.Cell, error) {
	in, ok := e.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return d, "", aloud.Errorf(aloud.EINVALID, "a person decides at a terminal: run aloud enrol in one (simulated servers also take --grant; see aloud enrol --help)")
	}
	q := questions{in: bufio.NewReader(in), out: e.stdout}
	hash := d.Notice.Hash()
	if _, err := fmt.Fprintf(e.stdout, "%s\nThis text has the SHA-256 %x\nand is kept with your decision.\n\n", d.Notice.Full(), hash[:]); err != nil {
		return d, "", unwritten(err) // nobody decides on what they could not read
	}

	adult, err := q.adult()
	if err != nil {
		return d, "", err
	}
	if !adult {
		return d, "", aloud.Errorf(aloud.EFORBIDDEN, "only adults can take part; nothing was stored")
	}
	d.Adult = true
	fmt.Fprintf(e.stdout, "\nEach purpose by itself. \"yes\" lasts 90 days, \"yes 30\" lasts 30; anything else is no.\n")
	for _, item := range d.Notice.Purposes {
		if len(d.Choices) < restsOn(item.ID) {
			fmt.Fprintf(e.stdout, "  %s: not asked, it would rest on what you did not agree to\n", item.ID)
			continue
		}
		yes, days, err := q.agree(fmt.Sprintf("[%s] %s?", item.ID, item.Title), int(consent.DefaultExpiry.Hours()/24))
		if err != nil {
			return d, "", err
		}
		if yes {
			d.Choices = append(d.Choices, consent.Choice{Purpose: item.ID, Expires: e.now().AddDate(0, 0, days)})
		}
	}
	if len(d.Choices) == 0 {
		return d, "", aloud.Errorf(aloud.EFORBIDDEN, "you agreed to nothing, so nothing was stored")
	}
	if len(d.Choices) == 1 {
		return d, area, nil // a place leaves the device with signals only
	}
	cell, err := q.place(area)
	return d, cell, err
}

// restsOn is how many purposes must be agreed to before p means anything:
// sharing rests on listening, the rest on sharing.
func restsOn(p consent.Purpose) int {
	switch p {
	case consent.PurposeListen:
		return 0
	case consent.PurposeShareSignals:
		return 1
	}
	return 2
}

// questions asks on a terminal.
type questions struct {
	in  *bufio.Reader
	out io.Writer
}

func (q questions) line(prompt string) (string, error) {
	if _, err := fmt.Fprint(q.out, prompt); err != nil {
		return "", unwritten(err)
	}
	line, err := q.in.ReadString('\n')
	if err != nil && !(errors.Is(err, io.EOF) && line != "") {
		return "", aloud.Errorf(aloud.EFORBIDDEN, "no decision was made; nothing was stored")
	}
	return strings.TrimSpace(line), nil
}

// adult asks for the age, and once more if there is no answer at all: it ends
// the enrolment.
func (q questions) adult() (bool, error) {
	const question = "Are you 18 or older? Type yes or no [no]: "
	line, err := q.line(question)
	if err == nil && line == "" {
		fmt.Fprintln(q.out, "  To go on type yes, to stop type no.")
		line, err = q.line(question)
	}
	word := strings.ToLower(line)
	return word == "yes" || word == "y", err
}

// agree asks a question that only "yes" answers by yes. With a number of days
// as default, "yes 30" chooses another.
func (q questions) agree(question string, days int) (yes bool, chosen int, err error) {
	line, err := q.line(question + " [no]: ")
	if err != nil {
		return false, 0, err
	}
	word, number, _ := strings.Cut(strings.ToLower(line), " ")
	if word != "yes" && word != "y" {
		return false, 0, nil
	}
	if number == "" || days == 0 {
		return true, days, nil
	}
	n, err := strconv.Atoi(strings.TrimSpace(number))
	if err != nil || n < 1 || n > 366 {
		fmt.Fprintln(q.out, "  The days must be a number from 1 to 366.")
		return q.agree(question, days)
	}
	return true, n, nil
}

// place asks for the coarse area; without an answer it stays as it was.
func (q questions) place(area signal.Cell) (signal.Cell, error) {
	without := "none"
	if area != "" {
		without = fmt.Sprintf("keep %s; none drops it", area)
	}
	for {
		line, err := q.line("\nOptional: your area, for offers nearby, as LAT,LON or an S2 cell. It is rounded here to\na cell of a few square kilometres; only that is kept and sent. [" + without + "]: ")
		if err != nil {
			return "", err
		}
		cell, err := placeOr(line, area)
		if err == nil {
			return cell, nil
		}
		fmt.Fprintf(q.out, "  %v\n", err)
	}
}

// placeOr is parsePlace, but nothing means area and "none" means nothing.
func placeOr(s string, area signal.Cell) (signal.Cell, error) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "":
		return area, nil
	case "none":
		return "", nil
	}
	return parsePlace(s)
}

// parsePlace reads LAT,LON, a cell's token, or nothing.
func parsePlace(s string) (signal.Cell, error) {
	lat, lon, ok := strings.Cut(s, ",")
	if !ok {
		return signal.ParseCell(strings.TrimSpace(s))
	}
	y, err1 := strconv.ParseFloat(strings.TrimSpace(lat), 64)
	x, err2 := strconv.ParseFloat(strings.TrimSpace(lon), 64)
	if err1 != nil || err2 != nil {
		return "", aloud.Errorf(aloud.EINVALID, "a place is LAT,LON in degrees, such as 33.749,-84.388, or an S2 cell of level %d", signal.CellLevel)
	}
	return signal.CellAt(y, x)
}
