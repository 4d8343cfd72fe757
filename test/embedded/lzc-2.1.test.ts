import { lzcSuite } from './lzc-suite.js'

lzcSuite('2.1')
