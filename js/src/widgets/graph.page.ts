/** GraphWidget in an exported page: the same view over data that the page carries. */

import { openGraph } from "../host/graph_traits";
import { pageStore, startPage } from "../host/page";
import { mountError, mountGraph } from "../ui/graph/view";

startPage((place, traits, abort) => mountGraph(place, openGraph(pageStore(traits), abort), abort), mountError);
