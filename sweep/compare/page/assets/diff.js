// What differs between two texts, word by word.

const MOST_WORDS = 1500; // on each side between the common beginning and end; with more, all between counts as different

function words(text) {
  return text.match(/\s+|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu) || [];
}

// Two lists of [text, differs], whose texts joined are the two texts.
function differences(before, after) {
  const [a, b] = [words(before), words(after)];
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  const [inA, inB] = [a.slice(start, a.length - end), b.slice(start, b.length - end)];
  const [sameA, sameB] = Math.max(inA.length, inB.length) > MOST_WORDS ? [new Set(), new Set()] : common(inA, inB);
  const parts = (all, inner, same) => joined(all.map((word, i) => [word, i >= start && i < start + inner.length && !same.has(i - start)]));
  return [parts(a, inA, sameA), parts(b, inB, sameB)];
}

// The words as numbers, which are compared faster; equal words have equal numbers.
function numbered(list, known) {
  return Int32Array.from(list, (word) => {
    if (!known.has(word)) known.set(word, known.size);
    return known.get(word);
  });
}

// The places, in both lists, of the words of a longest common subsequence.
function common(wordsA, wordsB) {
  const known = new Map();
  const [a, b] = [numbered(wordsA, known), numbered(wordsB, known)];
  const width = b.length + 1;
  const longest = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    const [word, here, below] = [a[i], i * width, (i + 1) * width];
    for (let j = b.length - 1; j >= 0; j--) {
      if (word === b[j]) longest[here + j] = longest[below + j + 1] + 1;
      else longest[here + j] = Math.max(longest[below + j], longest[here + j + 1]);
    }
  }
  const [ofA, ofB] = [new Set(), new Set()];
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    if (a[i] === b[j]) { ofA.add(i++); ofB.add(j++); }
    else if (longest[(i + 1) * width + j] >= longest[i * width + j + 1]) i++;
    else j++;
  }
  return [ofA, ofB];
}

// Neighbours as one; a space between two differing words differs with them.
function joined(parts) {
  const found = [];
  parts.forEach(([text, own], i) => {
    const differs = own || (/^[ \t]+$/.test(text) && Boolean(parts[i - 1]?.[1] && parts[i + 1]?.[1]));
    const last = found[found.length - 1];
    if (last && last[1] === differs) last[0] += text;
    else found.push([text, differs]);
  });
  return found;
}

function markedNodes(parts) {
  return parts.flatMap(([text, differs]) => (differs ? [el("mark", {}, ...shownNodes(text))] : shownNodes(text)));
}
