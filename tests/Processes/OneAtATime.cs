using Xunit;

// Silos that probe each other every second need the processor: tests of several processes run one after the other.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
