// Every page: unit and time zone go along with its links, and its controls work.

import { bindControls } from "./view.js";

bindControls();
