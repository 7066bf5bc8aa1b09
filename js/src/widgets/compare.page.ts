/** CompareWidget in an exported page. */

import { openGraph } from "../host/graph_traits";
import { pageStore, type Saved, startPage, traitsOf } from "../host/page";
import { mountCompare, type Side } from "../ui/compare/view";
import { mountError, mountGraph } from "../ui/graph/view";

startPage((place, traits, abort) => {
  const sideOf = (saved: unknown): Side => {
    const store = pageStore(traitsOf(saved as Saved));
    const session = openGraph(store, abort);
    return { store, mount: (el, life) => mountGraph(el, session, life) };
  };
  void mountCompare(place, pageStore(traits), [sideOf(traits.get("a")), sideOf(traits.get("b"))], abort);
}, mountError);
