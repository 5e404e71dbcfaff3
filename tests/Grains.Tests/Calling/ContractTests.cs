using System.Reflection;
using Actors.Calling;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Actors.Grains.Tests.Calling;

/// <summary>What a contract may be: whoever calls it and whoever runs it is refused with the same sentence, before anything
/// starts.</summary>
public sealed class ContractTests
{
    private const string Ten = "0123456789";

    public static TheoryData<Type, Type, string> Refused => new()
    {
        { typeof(ITaskQuery), typeof(TaskQuery), "ITaskQuery.Count returns Task`1: a query reads" },
        { typeof(IValueTaskQuery), typeof(ValueTaskQuery), "IValueTaskQuery.Count returns ValueTask`1: a query reads" },
        { typeof(IVoidQuery), typeof(VoidQuery), "IVoidQuery.Count returns Void: a query reads" },
        { typeof(IRefQuery), typeof(RefQuery), "IRefQuery.Count returns Int32&: a query reads" },
        { typeof(IPointerQuery), typeof(PointerQuery), "IPointerQuery.Count: its value is IntPtr, memory of this process: pass a value." },
        { typeof(ISpanQuery), typeof(SpanQuery), "ISpanQuery.Count: its value is ReadOnlySpan`1, memory" },
        { typeof(ITupleQuery), typeof(TupleQuery), "ITupleQuery.Count: its value is a tuple, whose fields JSON loses: declare a record." },
        { typeof(IStreamQuery), typeof(StreamQuery), "IStreamQuery.Count: its value is IAsyncEnumerable`1, a stream: use a list." },
        { typeof(IGenericSignal), typeof(GenericSignal), "IGenericSignal.Take is generic" },
        { typeof(IOutSignal), typeof(OutSignal), "IOutSignal.Take: parameter 'taken' is ref, in or out" },
        { typeof(ITokenSignal), typeof(TokenSignal), "ITokenSignal.Take: parameter 'token' is a CancellationToken" },
        { typeof(IDelegateSignal), typeof(DelegateSignal), "IDelegateSignal.Take: parameter 'calls' is the delegate Action" },
        { typeof(IValueSignal), typeof(ValueSignal), "IValueSignal.Take returns ValueTask: a signal returns Task" },
        { typeof(IOverloaded), typeof(Overloaded), "IOverloaded.Take is overloaded" },
        { typeof(IBoth), typeof(Both), "IBoth.Take is marked [Signal] and [Query]" },
        { typeof(IUnmarked), typeof(Unmarked), "IUnmarked.Take is marked neither [Signal] nor [Query]" },
        { typeof(IExtending), typeof(Extending), "INamed.Name is marked neither [Signal] nor [Query]" },
        { typeof(BesideContract), typeof(BesideContract),
            "BesideContract implements IPausable, whose Pause is marked, and callers know its contract alone: let IPlain extend "
            + "IPausable." },
        { typeof(BesideNone), typeof(BesideNone),
            "BesideNone implements IPausable, whose Pause is marked, and callers know its contract alone: let IPausable extend "
            + "IWorkflow<Int32, Int32>." },
        { typeof(IProperty), typeof(Property), "IProperty.get_Count is an accessor" },
        { typeof(IStatic), typeof(Static), "IStatic.Count is static" },
        { typeof(IHidden), typeof(Hidden), "IHidden.Count is not public" },
        { typeof(IDerived), typeof(Derived), "IDerived extends the contract IFine" },
        { typeof(IGeneric<int>), typeof(Generic), "IGeneric`1 is generic" },
        { typeof(IUntyped), typeof(Untyped), "IUntyped extends IWorkflow<TInput, TResult> 0 times" },
        { typeof(ITupleInput), typeof(TupleInput), "ITupleInput: its input is a tuple" },
        { typeof(INul), typeof(Nul),
            "The stored name of INul is 1 to 200 characters, well-formed and without control characters; this one holds U+0000 at index "
            + "1." },
        { typeof(ILong), typeof(Long),
            "The stored name of ILong is 1 to 200 characters, well-formed and without control characters; this one has 201." },
        { typeof(IEmpty), typeof(Empty),
            "The stored name of IEmpty is 1 to 200 characters, well-formed and without control characters; this one has 0." },
        { typeof(IAssembly), typeof(InAssembly), "An earlier full name of IAssembly names an assembly" },
        { typeof(ClassMark), typeof(ClassMark),
            "ClassMark.Take is marked on the class, and callers know its contract alone: declare and mark it in an interface that extends "
            + "IWorkflow<Int32, Int32>." },
        { typeof(AloneMark), typeof(AloneMark),
            "AloneMark.Take is marked on the class, and callers know its contract alone: declare and mark it in IPlain." },
        { typeof(OtherMark), typeof(OtherMark), "OtherMark.Count is marked on the class" },
        { typeof(ClassName), typeof(ClassName),
            "ClassName bears a [WorkflowName], and callers know its contract alone: put it on IPlain." },
        { typeof(OtherTypes), typeof(OtherTypes), "OtherTypes extends IWorkflow<TInput, TResult> 2 times" },
        { typeof(Two), typeof(Two), "Two implements 2 contracts (IFine, IPlain): a workflow has one." },
        { typeof(Abstract), typeof(Abstract), "Abstract is not a concrete class" },
    };

    [Theory]
    [MemberData(nameof(Refused), DisableDiscoveryEnumeration = true)]
    public void Who_registers_and_who_calls_is_refused_with_one_sentence(Type contract, Type implementation, string sentence)
    {
        var client = new WorkflowClient(UnreachableTests.Fake<IGrainFactory>(_ => null), new PayloadSerializer(), TimeSpan.FromSeconds(1));
        var called = Refusal(() => Call(client, nameof(WorkflowClient.Get), [contract], "id", WorkflowId.DefaultNamespace));
        var started = Refusal(
            () => Call(client, nameof(WorkflowClient.StartManyAsync), [contract, typeof(int)], null, null, WorkflowId.DefaultNamespace,
            CancellationToken.None));
        var registered = Refusal(
            () => Call(new ActorsBuilder(new ServiceCollection()), nameof(ActorsBuilder.AddWorkflow), [implementation]));

        Assert.StartsWith(sentence, registered, StringComparison.Ordinal);
        Assert.Equal((registered, registered), (called, started));
    }

    [Fact]
    public void A_contract_says_its_names_its_members_and_its_shape()
    {
        var contract = Contract.Of(typeof(Fine));
        Assert.Same(Contract.Of(typeof(IFine)), contract);
        Assert.Equal(("Import", typeof(IFine).FullName, typeof(IFine)), (contract.Name, contract.FullName, contract.Type));
        Assert.Equal([typeof(IFine).FullName!, "Sales.IImport", "Stock.Old+IImport"], contract.FullNames);
        Assert.Equal(["Pause", "Ship"], contract.Signals.Keys.Order());
        Assert.Equal(["Where"], contract.Queries.Keys);
        Assert.Equal(
            "System.Int32 -> System.Collections.Generic.List`1<System.String>; query Where(System.String[]) -> "
                + "System.Nullable`1<System.Int32>; "
            + "signal Pause() -> System.Threading.Tasks.Task; signal Ship(System.String, System.String?) -> System.Threading.Tasks.Task",
            contract.Shape);
        Assert.Equal(("Plain", "NoContract"), (Contract.Of(typeof(Plain)).Name, Contract.Of(typeof(NoContract)).Name));
        Assert.Equal(typeof(NoContract).FullName, Contract.Of(typeof(NoContract)).FullName);
    }

    [Fact]
    public void Two_classes_of_one_stored_name_are_refused_where_they_are_registered()
    {
        var builder = new ActorsBuilder(new ServiceCollection()).AddWorkflow<Plain>().AddWorkflow<Plain>();
        var error = Assert.Throws<ArgumentException>(() => builder.AddWorkflow<Other.Plain>());
        Assert.Equal("Plain and Plain are both stored as 'Plain': give one a [WorkflowName].", error.Message);
    }

    [Fact]
    public async Task A_class_that_has_a_contract_is_called_by_it()
    {
        var client = new WorkflowClient(UnreachableTests.Fake<IGrainFactory>(_ => null), new PayloadSerializer(), TimeSpan.FromSeconds(1));
        var error = await Assert.ThrowsAsync<ArgumentException>(() => client.Get<Fine>("id").SignalAsync(w => w.Pause()));
        Assert.Equal("Fine is a class, and calls go by an interface: take the handle by its contract, Get<IFine>.", error.Message);
    }

    private static void Call(object on, string method, Type[] types, params object?[] arguments) =>
        on.GetType().GetMethod(method)!.MakeGenericMethod(types).Invoke(on, arguments);

    private static string Refusal(Action call) =>
        Assert.IsType<ArgumentException>(Assert.IsType<TargetInvocationException>(Record.Exception(call)).InnerException).Message;

#pragma warning disable IDE0060, CA1822 // These contracts only have to be read.
    public interface ITaskQuery : IWorkflow<int, int> { [Query] Task<int> Count(); }
    public interface IValueTaskQuery : IWorkflow<int, int> { [Query] ValueTask<int> Count(); }
    public interface IVoidQuery : IWorkflow<int, int> { [Query] void Count(); }
    public interface IRefQuery : IWorkflow<int, int> { [Query] ref int Count(); }
    public interface IPointerQuery : IWorkflow<int, int> { [Query] nint Count(); }
    public interface ISpanQuery : IWorkflow<int, int> { [Query] ReadOnlySpan<char> Count(); }
    public interface ITupleQuery : IWorkflow<int, int> { [Query] List<(int, int)> Count(); }
    public interface IStreamQuery : IWorkflow<int, int> { [Query] IAsyncEnumerable<int> Count(); }
    public interface IGenericSignal : IWorkflow<int, int> { [Signal] Task Take<T>(T taken); }
    public interface IOutSignal : IWorkflow<int, int> { [Signal] Task Take(out int taken); }
    public interface ITokenSignal : IWorkflow<int, int> { [Signal] Task Take(int taken, CancellationToken token); }
    public interface IDelegateSignal : IWorkflow<int, int> { [Signal] Task Take(Action[] calls); }
    public interface IValueSignal : IWorkflow<int, int> { [Signal] ValueTask Take(); }
    public interface IOverloaded : IWorkflow<int, int> { [Signal] Task Take(int taken); [Query] int Take(); }
    public interface IBoth : IWorkflow<int, int> { [Signal, Query] Task Take(); }
    public interface IUnmarked : IWorkflow<int, int> { Task Take(); }
    public interface IProperty : IWorkflow<int, int> { int Count { [Query] get; } }
    public interface IStatic : IWorkflow<int, int> { [Query] static int Count() => 0; }
    public interface IHidden : IWorkflow<int, int> { [Query] protected internal int Count() => 0; }
    public interface IDerived : IFine { [Query] int Count(); }
    public interface IGeneric<T> : IWorkflow<int, int> { [Query] T Count(); }
    public interface IUntyped : IWorkflow { [Query] int Count(); }
    public interface ITupleInput : IWorkflow<(int, int), int>;
    [WorkflowName("x\0y")] public interface INul : IWorkflow<int, int>;
    [WorkflowName(Ten + Ten + Ten + Ten + Ten + Ten + Ten + Ten + Ten + Ten + Ten + Ten + Ten + Ten + Ten + Ten + Ten + Ten + Ten + Ten + "!")] public interface ILong : IWorkflow<int, int>;
    [WorkflowName("")] public interface IEmpty : IWorkflow<int, int>;
    [WorkflowName("Import", Formerly = ["Sales.IImport, Sales"])] public interface IAssembly : IWorkflow<int, int>;
    public interface IPlain : IWorkflow<int, int> { [Query] int Count(); }
    public interface INamed { string Name(); }
    public interface IExtending : IWorkflow<int, int>, INamed;
    public interface IPausable { [Signal] Task Pause(); }

    [WorkflowName("Import", Formerly = ["Sales.IImport", "Stock.Old+IImport"])]
    public interface IFine : IWorkflow<int, List<string>>, IPausable
    {
        [Signal] Task Ship(string number, string? note = null);
        [Query] int? Where(params string[] places);
    }

    public abstract class Zero : Workflow<int, int>
    {
        protected override Task<int> RunAsync(int input) => Task.FromResult(input);
    }

    public sealed class TaskQuery : Zero, ITaskQuery { public Task<int> Count() => Task.FromResult(1); }
    public sealed class ValueTaskQuery : Zero, IValueTaskQuery { public ValueTask<int> Count() => new(1); }
    public sealed class VoidQuery : Zero, IVoidQuery { public void Count() { } }
    public sealed class RefQuery : Zero, IRefQuery { private int _count; public ref int Count() => ref _count; }
    public sealed class PointerQuery : Zero, IPointerQuery { public nint Count() => 0; }
    public sealed class SpanQuery : Zero, ISpanQuery { public ReadOnlySpan<char> Count() => ""; }
    public sealed class TupleQuery : Zero, ITupleQuery { public List<(int, int)> Count() => []; }
    public sealed class StreamQuery : Zero, IStreamQuery { public IAsyncEnumerable<int> Count() => AsyncEnumerable.Empty<int>(); }
    public sealed class GenericSignal : Zero, IGenericSignal { public Task Take<T>(T taken) => Task.CompletedTask; }
    public sealed class OutSignal : Zero, IOutSignal { public Task Take(out int taken) { taken = 0; return Task.CompletedTask; } }
    public sealed class TokenSignal : Zero, ITokenSignal { public Task Take(int taken, CancellationToken token) => Task.CompletedTask; }
    public sealed class DelegateSignal : Zero, IDelegateSignal { public Task Take(Action[] calls) => Task.CompletedTask; }
    public sealed class ValueSignal : Zero, IValueSignal { public ValueTask Take() => default; }
    public sealed class Overloaded : Zero, IOverloaded { public Task Take(int taken) => Task.CompletedTask; public int Take() => 0; }
    public sealed class Both : Zero, IBoth { public Task Take() => Task.CompletedTask; }
    public sealed class Unmarked : Zero, IUnmarked { public Task Take() => Task.CompletedTask; }
    public sealed class Extending : Zero, IExtending { public string Name() => ""; }
    public sealed class BesideContract : Zero, IPlain, IPausable { public int Count() => 0; public Task Pause() => Task.CompletedTask; }
    public sealed class BesideNone : Zero, IPausable { public Task Pause() => Task.CompletedTask; }
    public sealed class Property : Zero, IProperty { public int Count => 0; }
    public sealed class Static : Zero, IStatic;
    public sealed class Hidden : Zero, IHidden;
    public sealed class Generic : Zero, IGeneric<int> { public int Count() => 0; }
    public sealed class Untyped : Zero, IUntyped { public int Count() => 0; }
    public sealed class TupleInput : Workflow<(int, int), int>,
    ITupleInput { protected override Task<int> RunAsync((int, int) input) => Task.FromResult(0); }
    public sealed class Nul : Zero, INul;
    public sealed class Long : Zero, ILong;
    public sealed class Empty : Zero, IEmpty;
    public sealed class InAssembly : Zero, IAssembly;
    public sealed class NoContract : Zero;
    public sealed class Plain : Zero, IPlain { public int Count() => 0; }
    public sealed class ClassMark : Zero { [Signal] public Task Take() => Task.CompletedTask; }
    public sealed class AloneMark : Zero, IPlain { public int Count() => 0; [Signal] public Task Take() => Task.CompletedTask; }
    public sealed class OtherMark : Zero, IPlain { [Signal] public int Count() => 0; }
    [WorkflowName("Elsewhere")] public sealed class ClassName : Zero, IPlain { public int Count() => 0; }
    public sealed class OtherTypes : Workflow<string, int>,
    IPlain { public int Count() => 0; protected override Task<int> RunAsync(string input) => Task.FromResult(0); }
    public sealed class Two : FineBase, IPlain { public int Count() => 0; }
    public abstract class Abstract : Zero, IPlain { [Query] public abstract int Count(); }
    public sealed class Fine : FineBase;
    public sealed class Derived : FineBase, IDerived { public int Count() => 0; }

    public abstract class FineBase : Workflow<int, List<string>>, IFine
    {
        [Signal] public virtual Task Ship(string number, string? note) => Task.CompletedTask;
        Task IPausable.Pause() => Task.CompletedTask;
        public Task Pause() => Task.CompletedTask;
        public int? Where(string[] places) => null;
        protected override Task<List<string>> RunAsync(int input) => Task.FromResult<List<string>>([]);
    }

    private static class Other
    {
        internal sealed class Plain : Zero, Other.IPlain;
        internal interface IPlain : IWorkflow<int, int>;
    }
}
